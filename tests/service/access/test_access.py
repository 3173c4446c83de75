"""Who is let in, by key, role, address and port; everybody else gets 401 or 403 and no verdict."""

import json
import logging
import os
import re
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from service.access.commands import add_key, revoke_key
from service.access.errors import ExposureError, KeysError
from service.access.keyfile import read_keys
from service.access.keys import ROLES, Role
from service.access.ring import LOOK_AGAIN_SECONDS
from service.access.rules import HEALTH_PATHS, RULES, least_role
from service.app import create_app
from service.settings import Settings
from service.station.routes import ROUTERS
from service.telemetry.logs import JsonFormatter
from tests.service.conftest import StartClient
from tests.service.test_http_problems import problem_of
from tests.tiny_bundle import clean_photo, encode

GOOD = encode(clean_photo(), ".jpg")
JPEG = {"content-type": "image/jpeg"}
OTHER_ADDRESSES = ["0.0.0.0", "::", "", "192.168.1.5", "box.plant.example"]  # noqa: S104


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_without_a_key_there_is_no_verdict(guarded: TestClient) -> None:
    response = guarded.post("/inspect", content=GOOD, headers=JPEG)
    problem_of(response, 401, "unauthorized")
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_the_log_says_which_key_activated_a_bundle(
    guarded: TestClient, keys: dict[Role, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="service.http.bundles"):
        response = guarded.post(
            "/parts/bracket/activate", json={"version": "20260101-000000"}, headers=bearer(keys["admin"])
        )
    assert response.status_code == 200
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    [line] = [line for line in lines if line["message"].startswith("Activated")]
    key_id = next(
        record.id for record in read_keys(guarded.app.state.settings.keys).keys if record.role == "admin"
    )
    assert (line["key_id"], line["part"]) == (key_id, "bracket")
    assert f"by {key_id}" in line["message"]


def test_a_key_is_taken_in_either_header(guarded: TestClient, keys: dict[Role, str]) -> None:
    for header in (
        bearer(keys["camera"]),
        {"x-api-key": keys["camera"]},
        {"authorization": f"bearer {keys['camera']}"},
    ):
        response = guarded.post("/inspect", content=GOOD, headers={**JPEG, **header})
        assert (response.status_code, response.json()["verdict"]) == (200, "clean")


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer nonsense"},
        {"authorization": "Basic {key}"},
        {"authorization": "{key}"},
        {"x-api-key": ""},
        {"x-api-key": "{key}x"},
        {"x-api-key": "{key}", "authorization": "Bearer nonsense"},
        {"cookie": "key={key}"},
    ],
    ids=str,
)
def test_what_is_no_valid_key(guarded: TestClient, keys: dict[Role, str], headers: dict[str, str]) -> None:
    filled = {name: value.replace("{key}", keys["admin"]) for name, value in headers.items()}
    response = guarded.get("/parts", headers=filled)
    problem_of(response, 401, "unauthorized")
    assert keys["admin"] not in response.text


def test_a_key_in_the_query_is_not_taken(guarded: TestClient, keys: dict[Role, str]) -> None:
    problem_of(guarded.get("/parts", params={"key": keys["admin"]}), 401, "unauthorized")


def station_routes() -> list[tuple[str, str]]:
    """Method and path of every route of the station, which the documentation leaves out."""
    return [
        (method, route.path)
        for each in ROUTERS
        for route in each.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    ]


def test_each_rule_is_about_a_route_that_there_is() -> None:
    documented = create_app(Settings.of(device="cpu")).openapi()["paths"]
    routes = [(method.upper(), path) for path, methods in documented.items() for method in methods]
    routes += [("GET", "/"), ("GET", "/docs"), ("GET", "/openapi.json"), *station_routes()]
    for rule in RULES:
        assert any(rule.covers(*route) for route in routes), rule


@pytest.mark.parametrize(
    ("method", "path", "least"),
    [
        ("POST", "/inspect", "camera"),
        ("GET", "/parts", "camera"),
        ("HEAD", "/parts", "camera"),
        ("GET", "/inspections", "operator"),
        ("GET", "/inspections/1/image", "operator"),
        ("POST", "/inspections/1/review", "admin"),
        ("POST", "/inspections", "admin"),
        ("POST", "/inspections/1/2/review", "admin"),
        ("DELETE", "/inspections/1", "admin"),
        ("POST", "/parts/bracket/activate", "admin"),
        ("POST", "/parts/bracket/shadow", "admin"),
        ("DELETE", "/parts/bracket/shadow", "admin"),
        ("GET", "/parts/bracket/shadow", "operator"),
        ("GET", "/parts/bracket/history", "operator"),
        ("GET", "/station/models", "admin"),
        ("GET", "/station/models/bracket/1/report", "admin"),
        ("GET", "/parts/", "admin"),
        ("GET", "/inspectx", "admin"),
        ("GET", "/Parts", "admin"),
        ("GET", "//parts", "admin"),
        ("get", "/parts", "admin"),
    ],
)
def test_each_request_takes_its_role_and_an_unknown_one_an_admin(method: str, path: str, least: Role) -> None:
    assert least_role(method, path) == least


def test_every_route_is_closed_to_whoever_has_no_key_or_too_small_a_role(
    start: StartClient, file: Path, keys: dict[Role, str]
) -> None:
    client = start(keys=file, open_health=True)
    documented = client.app.openapi()["paths"]
    assert "/inspect" in documented
    for template in {*documented, "/docs", "/openapi.json"} - set(HEALTH_PATHS):
        path = re.sub(r"\{[^}]+\}", "x", template)
        for method in documented.get(template, {"get": None}):
            method = method.upper()
            problem_of(client.request(method, path), 401, "unauthorized")
            least = least_role(method, path)
            assert least is not None
            for role in ROLES[: ROLES.index(least)]:
                problem_of(client.request(method, path, headers=bearer(keys[role])), 403, "forbidden")


def test_an_unknown_path_is_not_even_known_to_be_unknown(guarded: TestClient, keys: dict[Role, str]) -> None:
    problem_of(guarded.get("/nowhere"), 401, "unauthorized")
    problem_of(guarded.get("/nowhere", headers=bearer(keys["operator"])), 403, "forbidden")
    problem_of(guarded.get("/nowhere", headers=bearer(keys["admin"])), 404, "not_found")


def test_the_documentation_needs_a_key_too(guarded: TestClient, keys: dict[Role, str]) -> None:
    assert {guarded.get(path).status_code for path in ("/", "/docs", "/openapi.json")} == {401}
    for path in ("/", "/docs", "/openapi.json"):
        assert guarded.get(path, headers=bearer(keys["camera"])).status_code == 200


def test_a_key_that_is_made_or_revoked_while_the_service_runs(
    guarded: TestClient, file: Path, keys: dict[Role, str]
) -> None:
    key, key_id = add_key(file, "line4", "camera")
    look_again(guarded)
    assert guarded.get("/parts", headers=bearer(key)).status_code == 200
    revoke_key(file, key_id)
    look_again(guarded)
    problem_of(guarded.get("/parts", headers=bearer(key)), 401, "unauthorized")
    assert guarded.get("/parts", headers=bearer(keys["camera"])).status_code == 200


def test_a_broken_file_of_keys_turns_readiness_red_and_locks_nobody_out(
    guarded: TestClient, file: Path, keys: dict[Role, str]
) -> None:
    assert guarded.get("/readyz").status_code == 200
    file.write_text("{")
    look_again(guarded)
    readiness = guarded.get("/readyz")
    assert readiness.status_code == 503
    assert any("keys" in reason for reason in readiness.json()["reasons"])
    assert (
        guarded.post("/inspect", content=GOOD, headers={**JPEG, **bearer(keys["camera"])}).status_code == 200
    )


def look_again(client: TestClient) -> None:
    """Let the time pass after which the service looks at the file again."""
    client.app.state.keys._looked -= LOOK_AGAIN_SECONDS


def test_health_takes_a_key_unless_it_is_opened(file: Path, keys: dict[Role, str]) -> None:
    closed = TestClient(create_app(Settings.of(keys=file, device="cpu")))
    for path in ("/healthz", "/readyz"):
        problem_of(closed.get(path), 401, "unauthorized")
        assert closed.get(path, headers=bearer(keys["camera"])).status_code != 401
    opened = TestClient(create_app(Settings.of(keys=file, device="cpu", open_health=True)))
    assert opened.get("/healthz").status_code == 200
    problem_of(opened.post("/healthz"), 401, "unauthorized")


def test_the_management_port_serves_health_without_a_key_and_nothing_else(
    file: Path, keys: dict[Role, str]
) -> None:
    settings = Settings.of(keys=file, device="cpu", management_port=9001)
    client = TestClient(create_app(settings), base_url="http://127.0.0.1:9001")
    assert client.get("/healthz").json() == {"alive": True}
    assert client.head("/healthz").status_code in (200, 405)
    for method, path in (("GET", "/parts"), ("POST", "/inspect"), ("GET", "/docs"), ("POST", "/healthz")):
        problem_of(client.request(method, path, headers=bearer(keys["admin"])), 404, "not_found")


def test_the_host_header_does_not_tell_the_port(file: Path, keys: dict[Role, str]) -> None:
    settings = Settings.of(keys=file, device="cpu", management_port=9001)
    client = TestClient(create_app(settings), base_url="http://127.0.0.1:8000")
    headers = {"host": "127.0.0.1:9001", "x-forwarded-port": "9001", "x-forwarded-host": "x:9001"}
    problem_of(client.get("/healthz", headers=headers), 401, "unauthorized")


def test_the_management_port_is_not_the_main_one() -> None:
    with pytest.raises(Exception, match="management_port"):
        Settings.of(port=8000, management_port=8000)


@pytest.mark.parametrize("host", OTHER_ADDRESSES)
def test_it_does_not_listen_for_others_without_keys_unless_told_to(host: str, file: Path) -> None:
    with pytest.raises(ExposureError) as error:
        create_app(Settings.of(host=host))
    assert "glint keys add" in error.value.remedy
    assert "--allow-anonymous" in error.value.remedy
    create_app(Settings.of(host=host, allow_anonymous=True))
    add_key(file, "line3", "camera")
    create_app(Settings.of(host=host, keys=file))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_on_the_loopback_address_it_needs_no_keys(host: str) -> None:
    create_app(Settings.of(host=host))


def test_a_file_of_keys_that_is_missing_at_start_is_refused(file: Path) -> None:
    with pytest.raises(KeysError, match="glint keys add"):
        create_app(Settings.of(keys=file))


def test_without_keys_another_server_that_listens_elsewhere_is_of_no_use() -> None:
    settings = Settings.of(device="cpu")
    for address in ("http://192.168.1.5:8000", "http://[fe80::1]:8000"):
        problem_of(TestClient(create_app(settings), base_url=address).get("/parts"), 403, "forbidden")
    told = Settings.of(device="cpu", allow_anonymous=True)
    assert TestClient(create_app(told), base_url="http://192.168.1.5:8000").get("/parts").status_code == 200
    assert TestClient(create_app(settings), base_url="http://127.0.0.1:8000").get("/parts").status_code == 200


def test_no_key_is_ever_logged_or_answered(
    guarded: TestClient, keys: dict[Role, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    responses = [
        guarded.get("/parts", headers=bearer(keys["camera"])),
        guarded.get("/inspections", headers=bearer(keys["camera"])),
        guarded.get("/parts", headers=bearer(keys["camera"] + "x")),
        guarded.get("/parts", headers={"x-api-key": keys["camera"] + "x"}),
    ]
    assert [response.status_code for response in responses] == [200, 403, 401, 401]
    said = caplog.text + "".join(response.text + str(response.headers) for response in responses)
    assert keys["camera"] not in said
    assert "was refused GET '/inspections'" in caplog.text


def test_the_table_has_no_row_twice() -> None:
    rows = [(rule.method, rule.path) for rule in RULES]
    assert len(set(rows)) == len(rows)


def test_the_environment_turns_keys_on(
    monkeypatch: pytest.MonkeyPatch, file: Path, keys: dict[Role, str]
) -> None:
    assert "GLINT_KEYS" not in os.environ
    monkeypatch.setenv("GLINT_KEYS", str(file))
    problem_of(TestClient(create_app()).get("/parts"), 401, "unauthorized")
