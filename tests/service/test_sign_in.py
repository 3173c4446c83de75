"""The station's sign-in: sessions that end with their key, and forms that no other page can send."""

import html
import logging
import re
import threading
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from service.access.brake import LONGEST_SECONDS, MOST_WAITING, SignInBrake
from service.access.commands import add_key, revoke_key
from service.access.keys import ROLES, Role, allows
from service.access.ring import LOOK_AGAIN_SECONDS, KeyRing
from service.access.rules import least_role
from service.access.sessions import Sessions
from service.http.headers import STATION_POLICY
from service.station.routes import ROUTERS
from tests.service.conftest import StartClient
from tests.service.test_http_problems import problem_of

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SIGN_IN = "/station/sign-in"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def keys(file: Path) -> dict[Role, str]:
    """A key of each role."""
    return {role: add_key(file, role, role)[0] for role in ROLES}


@pytest.fixture
def guarded(start: StartClient, file: Path, keys: dict[Role, str], tmp_path: Path) -> TestClient:
    client = start(keys=file, open_health=True, state=tmp_path / "state")
    client.follow_redirects = False
    return client


def csrf_of(page: Response) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page.text) or re.search(
        r'data-csrf="([0-9a-f]{64})"', page.text
    )
    assert found, page.text
    return found[1]


def sign_in(client: TestClient, key: str, **fields: str) -> Response:
    token = csrf_of(client.get(SIGN_IN, headers=HTML))
    return client.post(SIGN_IN, data={"csrf": token, "key": key, **fields}, headers=HTML)


def test_a_browser_is_led_to_the_sign_in_and_from_there_to_where_it_wanted_to_go(
    guarded: TestClient, keys: dict[Role, str]
) -> None:
    wanted = "/station/inspections/0?camera=cam3"
    answer = guarded.get(wanted, headers=HTML)
    assert answer.status_code == 303
    form = guarded.get(answer.headers["location"], headers=HTML)
    assert f'name="next" value="{html.escape(wanted)}"' in form.text
    answer = sign_in(guarded, keys["operator"], next=wanted)
    assert (answer.status_code, answer.headers["location"]) == (303, wanted)
    assert guarded.get("/station/", headers=HTML).status_code == 200


@pytest.mark.parametrize(
    "target", ["//evil.example/", "https://evil.example/", "/station/..//evil", "/station/\\evil", "/parts"]
)
def test_the_sign_in_leads_nowhere_else(guarded: TestClient, keys: dict[Role, str], target: str) -> None:
    assert sign_in(guarded, keys["operator"], next=target).headers["location"] == "/station/"


def test_programs_are_told_as_ever(guarded: TestClient) -> None:
    problem_of(guarded.get("/station/"), 401, "unauthorized")
    problem_of(guarded.get("/station/", headers={"accept": "application/json"}), 401, "unauthorized")


@pytest.mark.parametrize("path", ["/readyz", "/metrics", "/inspections", "/api", "/nowhere"])
def test_what_is_no_page_leads_nobody_to_the_sign_in(
    start: StartClient, file: Path, keys: dict[Role, str], path: str
) -> None:
    client = start(keys=file)
    problem_of(client.get(path, headers=HTML), 401, "unauthorized")


@pytest.mark.parametrize("path", ["/", "/docs", "/station", "/station/", "/station/review"])
def test_every_page_leads_to_the_sign_in(guarded: TestClient, path: str) -> None:
    answer = guarded.get(path, headers=HTML)
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, SIGN_IN)


def test_a_session_whose_key_was_made_smaller_leads_to_the_sign_in_that_says_so(
    guarded: TestClient, file: Path, keys: dict[Role, str]
) -> None:
    sign_in(guarded, keys["operator"])
    file.write_text(file.read_text().replace('"operator"', '"camera"'))
    guarded.app.state.keys._looked -= LOOK_AGAIN_SECONDS
    answer = guarded.get("/station/review", headers=HTML)
    assert answer.status_code == 303
    assert "takes the key of an admin" in guarded.get(answer.headers["location"], headers=HTML).text


def test_a_board_that_was_opened_by_a_key_ends_with_it(
    guarded: TestClient, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.station.stream.BEAT_SECONDS", 0.01)
    key, key_id = add_key(file, "Ada", "operator")
    ring, feed = guarded.app.state.keys, guarded.app.state.station.feed
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
    stream = guarded.get("/station/events", headers={"x-api-key": key})
    timers[1].cancel()
    assert (stream.status_code, outlived.is_set()) == (200, False)


def test_a_session_opens_what_its_keys_role_opens(guarded: TestClient, keys: dict[Role, str]) -> None:
    sign_in(guarded, keys["operator"])
    assert guarded.get("/inspections").status_code == 200
    problem_of(guarded.get("/nowhere"), 403, "forbidden")
    problem_of(guarded.get("/nowhere", headers=HTML), 403, "forbidden")
    # A wrong key is refused, whatever the cookie says.
    problem_of(guarded.get("/inspections", headers={"x-api-key": "glint_wrong"}), 401, "unauthorized")


def test_wrong_keys_and_those_of_cameras_open_nothing(
    guarded: TestClient, keys: dict[Role, str], caplog: pytest.LogCaptureFixture
) -> None:
    for key, said in (("glint_wrong", "not valid"), ("", "not valid"), (keys["camera"], "camera")):
        answer = sign_in(guarded, key)
        assert answer.status_code == 403
        assert said in answer.text
        assert key == "" or key not in answer.text
    assert guarded.get("/station/", headers=HTML).status_code == 303
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
    guarded: TestClient, keys: dict[Role, str]
) -> None:
    brake = guarded.app.state.station.brake
    for _ in range(8):
        brake.failed("testclient")
    brake._waiting = MOST_WAITING
    answer = sign_in(guarded, "glint_wrong")
    assert (answer.status_code, "Too many wrong keys" in answer.text) == (429, True)
    assert sign_in(guarded, keys["operator"]).status_code == 303


def test_what_changes_something_needs_the_form_token(guarded: TestClient, keys: dict[Role, str]) -> None:
    page = guarded.get(SIGN_IN, headers=HTML)
    for token in ("", "0" * 64, csrf_of(page)[:-1]):
        problem_of(guarded.post(SIGN_IN, data={"csrf": token, "key": keys["operator"]}), 403, "forged")
    sign_in(guarded, keys["operator"])
    # The token of the form before the sign-in is of no use after it.
    problem_of(guarded.post("/station/sign-out", data={"csrf": csrf_of(page)}), 403, "forged")
    problem_of(guarded.post("/station/sign-out"), 403, "forged")
    problem_of(guarded.post("/inspect", content=b"x", headers={"content-type": "image/jpeg"}), 403, "forged")
    token = csrf_of(guarded.get("/station/", headers=HTML))
    assert guarded.post("/station/sign-out", headers={"x-csrf-token": token}).status_code == 303
    assert guarded.get("/station/", headers=HTML).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
    ],
    ids=str,
)
def test_pages_of_other_sites_change_nothing_even_without_keys(
    client: TestClient, headers: dict[str, str]
) -> None:
    answer = client.post("/parts/bracket/activate", json={"version": "20260101-000000"}, headers=headers)
    problem_of(answer, 403, "forged")
    own = {"sec-fetch-site": "same-origin", "origin": "http://testserver"}
    answer = client.post("/parts/bracket/activate", json={"version": "20260101-000000"}, headers=own)
    assert answer.status_code == 200


def test_the_cookie_is_for_this_service_alone(guarded: TestClient, keys: dict[Role, str]) -> None:
    token = csrf_of(guarded.get(SIGN_IN, headers=HTML))
    for origin, secure in (("http://testserver", False), ("https://testserver", True)):
        data = {"csrf": token, "key": keys["operator"]}
        answer = guarded.post(SIGN_IN, data=data, headers={**HTML, "origin": origin})
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert ("Secure" in cookie) == secure
        guarded.cookies.clear()
        token = csrf_of(guarded.get(SIGN_IN, headers=HTML))


def come_from_elsewhere(client: TestClient, path: str) -> Response:
    """Follow a link on another site: what is `SameSite=Strict` stays behind, what it sets is kept."""
    kept = [cookie for cookie in client.cookies.jar if "station" in cookie.name]
    for cookie in kept:
        client.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)
    page = client.get(path, headers={**HTML, "sec-fetch-site": "cross-site"}, follow_redirects=True)
    for cookie in kept:
        client.cookies.jar.set_cookie(cookie)
    return page


def test_a_link_on_another_site_ends_no_session(guarded: TestClient, keys: dict[Role, str]) -> None:
    sign_in(guarded, keys["operator"])
    asked = come_from_elsewhere(guarded, "/station/review")
    assert asked.url.path == SIGN_IN
    assert not any("station" in name for name in asked.cookies)
    board = guarded.get("/station/", headers=HTML)
    assert board.status_code == 200
    # Whoever fills that form in is let in as well, although there is a session.
    fields = {"csrf": csrf_of(asked), "key": keys["admin"]}
    assert guarded.post(SIGN_IN, data=fields, headers=HTML).status_code == 303
    assert "admin" in guarded.get("/station/", headers=HTML).text
    problem_of(guarded.post("/station/sign-out", data={"csrf": csrf_of(asked)}), 403, "forged")
    problem_of(guarded.post("/station/sign-out", data={"csrf": csrf_of(board)}), 403, "forged")


def test_signing_out_of_a_session_that_has_ended_leads_to_the_sign_in(
    guarded: TestClient, file: Path
) -> None:
    key, key_id = add_key(file, "Ada", "operator")
    guarded.app.state.keys._looked -= LOOK_AGAIN_SECONDS
    sign_in(guarded, key)
    board = guarded.get("/station/", headers=HTML)
    revoke_key(file, key_id)
    guarded.app.state.keys._looked -= LOOK_AGAIN_SECONDS
    answer = guarded.post("/station/sign-out", data={"csrf": csrf_of(board)}, headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, SIGN_IN)


def test_foreign_cookies_do_not_hide_the_session(guarded: TestClient, keys: dict[Role, str]) -> None:
    sign_in(guarded, keys["operator"])
    [session] = [f"{cookie.name}={cookie.value}" for cookie in guarded.cookies.jar]
    guarded.cookies.clear()
    for foreign in ("a[b]=1", 'prefs={"x": "y, z"}', "=;;", "straße=ß"):
        cookie = f"{foreign}; {session}".encode()
        assert guarded.get("/inspections", headers=[(b"cookie", cookie)]).status_code == 200, foreign


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


def test_the_pages_say_what_browsers_may_do_with_them(client: TestClient) -> None:
    page = client.get("/station/", headers=HTML)
    assert page.headers["content-security-policy"] == STATION_POLICY
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "same-origin"
    assert "whoever reaches this service" in page.text
    for path in re.findall(r'(?:href|src)="(/station/static/[^"]+)"', page.text):
        asset = client.get(path)
        assert asset.status_code == 200
        assert "immutable" in asset.headers["cache-control"]
        name = path.rpartition("/")[2]
        assert client.get(f"/station/static/old/{name}").headers["cache-control"] == "no-store"
    assert client.get("/station/static/x/../../../pyproject.toml").status_code == 404
    assert client.get("/station/static/x/nothing.js").status_code == 404


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
