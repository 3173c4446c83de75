"""The station's sign-in, and sessions that end with their key."""

import html
import logging
import threading
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.access.brake import LONGEST_SECONDS, MOST_WAITING, SignInBrake
from service.access.commands import add_key, revoke_key
from service.access.keys import Role, allows
from service.access.ring import LOOK_AGAIN_SECONDS, KeyRing
from service.access.rules import least_role
from service.access.sessions import Sessions
from service.station.routes import ROUTERS
from tests.service.access.signing_in import HTML, SIGN_IN, sign_in
from tests.service.conftest import StartClient
from tests.service.test_http_problems import problem_of


def test_a_browser_is_led_to_the_sign_in_and_from_there_to_where_it_wanted_to_go(
    browser: TestClient, keys: dict[Role, str]
) -> None:
    wanted = "/station/inspections/0?camera=cam3"
    answer = browser.get(wanted, headers=HTML)
    assert answer.status_code == 303
    form = browser.get(answer.headers["location"], headers=HTML)
    assert f'name="next" value="{html.escape(wanted)}"' in form.text
    answer = sign_in(browser, keys["operator"], next=wanted)
    assert (answer.status_code, answer.headers["location"]) == (303, wanted)
    assert browser.get("/station/", headers=HTML).status_code == 200


@pytest.mark.parametrize(
    "target", ["//evil.example/", "https://evil.example/", "/station/..//evil", "/station/\\evil", "/parts"]
)
def test_the_sign_in_leads_nowhere_else(browser: TestClient, keys: dict[Role, str], target: str) -> None:
    assert sign_in(browser, keys["operator"], next=target).headers["location"] == "/station/"


def test_programs_are_told_as_ever(browser: TestClient) -> None:
    problem_of(browser.get("/station/"), 401, "unauthorized")
    problem_of(browser.get("/station/", headers={"accept": "application/json"}), 401, "unauthorized")


@pytest.mark.parametrize("path", ["/readyz", "/metrics", "/inspections", "/api", "/nowhere"])
def test_what_is_no_page_leads_nobody_to_the_sign_in(
    start: StartClient, file: Path, keys: dict[Role, str], path: str
) -> None:
    client = start(keys=file)
    problem_of(client.get(path, headers=HTML), 401, "unauthorized")


@pytest.mark.parametrize("path", ["/", "/docs", "/station", "/station/", "/station/review"])
def test_every_page_leads_to_the_sign_in(browser: TestClient, path: str) -> None:
    answer = browser.get(path, headers=HTML)
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, SIGN_IN)


def test_a_session_whose_key_was_made_smaller_leads_to_the_sign_in_that_says_so(
    browser: TestClient, file: Path, keys: dict[Role, str]
) -> None:
    sign_in(browser, keys["operator"])
    file.write_text(file.read_text().replace('"operator"', '"camera"'))
    browser.app.state.keys._looked -= LOOK_AGAIN_SECONDS
    answer = browser.get("/station/review", headers=HTML)
    assert answer.status_code == 303
    assert "takes the key of an admin" in browser.get(answer.headers["location"], headers=HTML).text


def test_a_board_that_was_opened_by_a_key_ends_with_it(
    browser: TestClient, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.station.stream.BEAT_SECONDS", 0.01)
    key, key_id = add_key(file, "Ada", "operator")
    ring, feed = browser.app.state.keys, browser.app.state.station.feed
    ring._looked -= LOOK_AGAIN_SECONDS
    outlived = threading.Event()

    def revoke() -> None:
        revoke_key(file, key_id)
        ring._looked -= LOOK_AGAIN_SECONDS

    def give_up() -> None:
        outlived.set()
        for each in feed._subscriptions:
            each.ended = True

    timers = [threading.Timer(0.1, revoke), threading.Timer(5.0, give_up)]
    for timer in timers:
        timer.start()
    stream = browser.get("/station/events", headers={"x-api-key": key})
    timers[1].cancel()
    assert (stream.status_code, outlived.is_set()) == (200, False)


def test_a_session_opens_what_its_keys_role_opens(browser: TestClient, keys: dict[Role, str]) -> None:
    sign_in(browser, keys["operator"])
    assert browser.get("/inspections").status_code == 200
    problem_of(browser.get("/nowhere"), 403, "forbidden")
    problem_of(browser.get("/nowhere", headers=HTML), 403, "forbidden")
    # A wrong key is refused, whatever the cookie says.
    problem_of(browser.get("/inspections", headers={"x-api-key": "glint_wrong"}), 401, "unauthorized")


def test_wrong_keys_and_those_of_cameras_open_nothing(
    browser: TestClient, keys: dict[Role, str], caplog: pytest.LogCaptureFixture
) -> None:
    for key, said in (("glint_wrong", "not valid"), ("", "not valid"), (keys["camera"], "camera")):
        answer = sign_in(browser, key)
        assert answer.status_code == 403
        assert said in answer.text
        assert key == "" or key not in answer.text
    assert browser.get("/station/", headers=HTML).status_code == 303
    lines = [record.getMessage() for record in caplog.records if "sign-in from" in record.getMessage()]
    assert len(lines) == 3
    assert "glint_wrong" not in caplog.text
    assert keys["camera"] not in caplog.text


def test_each_wrong_key_makes_the_next_try_wait_longer() -> None:
    brake = SignInBrake()
    assert brake.seconds("a") == 0.0
    waits = []
    for _ in range(8):
        brake.failed("a")
        waits.append(brake.seconds("a"))
    assert waits == sorted(waits)
    assert (waits[0] < waits[1], waits[-1]) == (True, LONGEST_SECONDS)
    assert brake.seconds("b") == 0.0
    brake.succeeded("a")
    assert brake.seconds("a") == 0.0


def test_a_right_key_does_not_wait_for_the_wrong_ones_of_others(
    browser: TestClient, keys: dict[Role, str]
) -> None:
    brake = browser.app.state.station.brake
    for _ in range(8):
        brake.failed("testclient")
    brake._waiting = MOST_WAITING
    answer = sign_in(browser, "glint_wrong")
    assert (answer.status_code, "Too many wrong keys" in answer.text) == (429, True)
    assert sign_in(browser, keys["operator"]).status_code == 303


def test_a_session_outlives_a_restart_but_not_its_key(file: Path, tmp_path: Path) -> None:
    key, key_id = add_key(file, "Ada", "operator")
    ring = KeyRing(file)
    record = ring.holder_of(key)
    assert record is not None
    sessions = Sessions(ring, 60.0, tmp_path / "state")
    token, other = sessions.open(record), sessions.open(record)
    sessions.close(other)
    kept = (tmp_path / "state" / "sessions.json").read_text()
    assert token not in kept
    assert (tmp_path / "state" / "sessions.json").stat().st_mode & 0o777 == 0o600
    after = Sessions(ring, 60.0, tmp_path / "state")
    assert after.holder_of(token) == record
    assert after.holder_of(other) is None
    revoke_key(file, key_id)
    ring._looked -= LOOK_AGAIN_SECONDS
    assert after.holder_of(token) is None


def test_a_session_ends_when_it_is_not_used(
    file: Path, keys: dict[Role, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = KeyRing(file)
    record = ring.holder_of(keys["operator"])
    assert record is not None
    sessions = Sessions(ring, 100.0, None)
    token = sessions.open(record)
    now = time.time()
    for later, lasts in ((90.0, True), (180.0, True), (290.0, False), (291.0, False)):
        monkeypatch.setattr(time, "time", lambda later=later: now + later)
        assert (sessions.holder_of(token) is not None) == lasts


def test_damaged_sessions_sign_everybody_out_and_stop_nothing(
    file: Path, keys: dict[Role, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "sessions.json").write_text("{")
    sessions = Sessions(KeyRing(file), 60.0, tmp_path)
    assert sessions.holder_of("x") is None
    assert any("sign in again" in record.getMessage() for record in caplog.records)
    assert caplog.records[-1].levelno == logging.ERROR


def test_a_browser_is_shown_errors_as_a_page(client: TestClient) -> None:
    assert client.get("/", headers=HTML, follow_redirects=False).headers["location"] == "/station/"
    assert client.get("/station", follow_redirects=False).headers["location"] == "/station/"
    assert client.get("/", headers={"accept": "*/*"}).json()["service"] == "Glint"


def test_no_page_of_the_station_is_open_but_the_sign_in() -> None:
    for each in ROUTERS:
        for route in each.routes:
            path = str(getattr(route, "path", ""))
            for method in getattr(route, "methods", set()):
                least = least_role(method, path.replace("{", "").replace("}", ""))
                is_open = path.startswith("/station/static/") or path in (SIGN_IN, "/station/sign-out")
                assert is_open if least is None else allows(least, "operator"), (method, path)
