"""What was inspected is found again over HTTP; a request that is repeated is not inspected twice."""

import base64
import hashlib
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from service import inspection
from service.archive import recorder
from service.http.problems import Problem
from tests.service.conftest import StartClient
from tests.tiny_bundle import clean_photo, encode, scratched_photo, unmeasurable_photo

JPEG = {"content-type": "image/jpeg"}
GOOD = encode(clean_photo(), ".jpg")
BAD = encode(scratched_photo(), ".jpg")


def post(client: TestClient, data: bytes = GOOD, query: str = "", **headers: str) -> dict[str, Any]:
    sent = {**JPEG, **{name.replace("_", "-"): value for name, value in headers.items()}}
    response = client.post(f"/inspect?{query}", content=data, headers=sent)
    assert response.status_code == 200, response.text
    return {**response.json(), "replayed": response.headers.get("idempotent-replay") == "true"}


def get(client: TestClient, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, response.text
    return response.json()


def refused(client: TestClient, path: str) -> tuple[int, str]:
    response = client.get(path)
    problem = Problem.model_validate(response.json())
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, problem.code


def pages(client: TestClient, limit: int, query: str = "") -> list[list[str]]:
    found, cursor = [], ""
    while cursor is not None:
        page = get(client, f"/inspections?limit={limit}&{query}" + (f"&cursor={cursor}" if cursor else ""))
        found.append([inspection["id"] for inspection in page["inspections"]])
        cursor = page["next_cursor"]
    return found


def cursor_of(time: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([time, "0" * 32]).encode()).decode()


def test_an_answered_inspection_is_found_with_its_answer_and_its_pictures(client: TestClient) -> None:
    answer = post(client, BAD, "serial=A17&camera=cam3")
    found = get(client, f"/inspections/{answer['id']}")
    assert (found["part"], found["serial"], found["camera"]) == ("bracket", "A17", "cam3")
    assert (found["verdict"], found["score"]) == (answer["verdict"], answer["score"])
    told = {"timings_ms", "heatmap", "replayed"}
    assert {k: v for k, v in found["answer"].items() if k not in told} == {
        k: v for k, v in answer.items() if k not in told
    }
    image = client.get(found["image_url"])
    assert (image.content, image.headers["content-type"]) == (BAD, "image/jpeg")
    assert hashlib.sha256(image.content).hexdigest() == answer["image"]["sha256"]
    overlay = client.get(found["overlay_url"])
    assert overlay.headers["content-type"] == "image/jpeg"
    assert overlay.content.startswith(b"\xff\xd8")


def test_the_newest_come_first_and_pages_hold_each_once_while_new_ones_arrive(client: TestClient) -> None:
    ids = [post(client)["id"] for _ in range(7)]
    first = get(client, "/inspections?limit=3")
    later = [post(client)["id"] for _ in range(2)]
    second = get(client, f"/inspections?limit=3&cursor={first['next_cursor']}")
    third = get(client, f"/inspections?limit=3&cursor={second['next_cursor']}")
    seen = [one["id"] for page in (first, second, third) for one in page["inspections"]]
    assert seen == ids[::-1]
    assert third["next_cursor"] is None
    assert pages(client, 9) == [(ids + later)[::-1]]


def test_a_clock_that_jumps_neither_hides_nor_doubles_an_inspection(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = datetime(2026, 6, 1, tzinfo=UTC)
    # The clock of a machine that others use cannot be set for a test; the recorder's can.
    for hours in (0, 1, -9000, -9000, 2, 9000, 3):

        class Clock(datetime):
            now = staticmethod(lambda zone, hours=hours: (start + timedelta(hours=hours)).astimezone(zone))

        monkeypatch.setattr(recorder, "datetime", Clock)
        post(client, query=f"serial={hours}")
    found = pages(client, 2)
    times = [get(client, f"/inspections/{one}")["time"] for page in found for one in page]
    assert [len(page) for page in found] == [2, 2, 2, 1]
    assert len({one for page in found for one in page}) == 7
    assert times == sorted(times, reverse=True)


def test_filters_restrict_what_is_found(start: StartClient) -> None:
    client = start()
    good = post(client, GOOD, "serial=1&camera=left")["id"]
    bad = post(client, BAD, "serial=2&camera=left")["id"]
    other = post(client, GOOD, "serial=3&camera=right")["id"]
    for query, expected in {
        "camera=left": [bad, good],
        "verdict=scratched": [bad],
        "verdict=clean&camera=right": [other],
        "serial=1": [good],
        "part=bracket": [other, bad, good],
        "part=nut": [],
        "needs_review=true": [],
        "from=2020-01-01T00:00:00Z": [other, bad, good],
        "to=2020-01-01T00:00:00Z": [],
    }.items():
        assert pages(client, 10, query) == [expected], query
    between = get(client, f"/inspections/{bad}")["time"].replace("+00:00", "Z")
    assert pages(client, 10, f"from={between}") == [[other, bad]]
    assert pages(client, 10, f"to={between}") == [[good]]


@pytest.mark.parametrize(
    "query",
    [
        "from=yesterday",
        "from=2026-01-01T00:00:00",
        "from=0001-01-01T00:00:00%2B14:00",
        "to=9999-12-31T23:59:59-14:00",
        f"cursor={cursor_of('0001-01-01T00:00:00+14:00')}",
        "limit=0",
        "limit=501",
        "limit=x",
        "needs_review=perhaps",
        "cursor=nonsense",
        "cursor=WzEsMl0=",
        "color=red",
        "camera=%00",
        f"serial={'x' * 129}",
    ],
)
def test_a_filter_that_cannot_be_used_is_a_problem(client: TestClient, query: str) -> None:
    assert refused(client, f"/inspections?{query}") == (422, "bad_field")


@pytest.mark.parametrize("unknown", ["0" * 32, "1", "..%2f..%2fetc%2fpasswd", "%00", "x" * 500])
def test_an_id_that_nobody_has_is_not_found(client: TestClient, unknown: str) -> None:
    for path in ("", "/image", "/overlay"):
        status, code = refused(client, f"/inspections/{unknown}{path}")
        assert (status, code) in {(404, "unknown_inspection"), (404, "not_found")}


def test_a_picture_that_is_not_there_says_why(start: StartClient) -> None:
    client = start(archive_photos="defects", review_sample=0)
    clean = post(client, GOOD)["id"]
    assert refused(client, f"/inspections/{clean}/image") == (404, "photo_not_kept")
    found = get(client, f"/inspections/{clean}")
    assert (found["photo"], found["image_url"], found["overlay_url"]) == ("not_kept", None, None)
    defect = post(client, BAD, "overlay=none")["id"]
    # Whoever looks at a defect later wants to see where it is, whatever the camera asked for.
    assert client.get(f"/inspections/{defect}/overlay").status_code == 200
    everything = start(archive_photos="all")
    plain = post(everything, GOOD, "overlay=none")["id"]
    assert refused(everything, f"/inspections/{plain}/overlay") == (404, "no_overlay")


def test_an_invalid_verdict_is_recorded_too(client: TestClient) -> None:
    photo = encode(unmeasurable_photo())
    response = client.post("/inspect", content=photo, headers={"content-type": "image/png"})
    assert response.status_code == 500
    (found,) = get(client, "/inspections?verdict=invalid")["inspections"]
    assert found["id"] == response.json()["id"]
    assert client.get(found["image_url"]).content == photo


def test_a_repeated_key_gets_the_recorded_answer(client: TestClient) -> None:
    first = post(client, BAD, "serial=1", idempotency_key="abc")
    again = client.post("/inspect?serial=1", content=BAD, headers={**JPEG, "Idempotency-Key": "abc"})
    assert again.headers["idempotent-replay"] == "true"
    assert again.headers["x-glint-id"] == again.json()["id"] == first["id"]
    assert again.json()["heatmap"] == first["heatmap"]
    assert len(pages(client, 10)[0]) == 1
    assert not first["replayed"]
    picture = client.post(
        "/inspect", content=BAD, headers={**JPEG, "Idempotency-Key": "abc", "accept": "image/jpeg"}
    )
    assert picture.headers["x-glint-id"] == first["id"]
    assert picture.headers["content-type"] == "image/jpeg"


def test_a_request_that_got_no_verdict_is_inspected_anew(client: TestClient) -> None:
    photo = encode(unmeasurable_photo())
    sent = {"content-type": "image/png", "idempotency-key": "abc"}
    failed = [client.post("/inspect", content=photo, headers=sent) for _ in range(2)]
    assert [response.status_code for response in failed] == [500, 500]
    recorded = pages(client, 10, "verdict=invalid")[0]
    assert recorded == [response.json()["id"] for response in reversed(failed)]
    # The fault is gone: the same request gets a verdict, and from then on that.
    assert post(client, BAD, idempotency_key="abc")["verdict"] == "scratched"
    assert post(client, BAD, idempotency_key="abc")["replayed"]


def test_a_photo_is_only_hashed_for_repeats_where_they_are_known_and_not_on_the_event_loop(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed_in = []

    def sha256(data: bytes) -> Any:
        hashed_in.append(threading.current_thread().name)
        return hashlib.sha256(data)

    monkeypatch.setattr(inspection, "hashlib", SimpleNamespace(sha256=sha256))
    post(client)
    assert hashed_in == []
    post(client, idempotency_key="abc")
    assert [name.startswith("glint-photo") for name in hashed_in] == [True]


def test_a_key_of_another_photo_is_refused(client: TestClient) -> None:
    post(client, BAD, idempotency_key="abc")
    response = client.post("/inspect", content=GOOD, headers={**JPEG, "Idempotency-Key": "abc"})
    assert (response.status_code, response.json()["code"]) == (422, "idempotency_conflict")


@pytest.mark.parametrize("key", ["", "two words", "x" * 201, "\xe4"])
def test_a_key_that_cannot_be_used_is_refused(client: TestClient, key: str) -> None:
    headers = {**JPEG, "Idempotency-Key": key.encode("latin-1")}
    response = client.post("/inspect", content=GOOD, headers=headers)
    assert (response.status_code, response.json()["code"]) == (422, "bad_field")


def test_if_so_set_the_same_photo_of_a_serial_is_the_same_request(start: StartClient) -> None:
    client = start(idempotent_photos=True)
    first = post(client, BAD, "serial=1")
    assert post(client, BAD, "serial=1")["id"] == first["id"]
    assert post(client, BAD, "serial=2")["id"] != first["id"]
    assert post(client, GOOD, "serial=1")["id"] != first["id"]


def test_without_an_archive_the_past_is_not_found_and_photos_are_inspected(start: StartClient) -> None:
    client = start(archive="none")
    assert post(client)["verdict"] == "clean"
    for path in ("", f"/{'0' * 32}", f"/{'0' * 32}/image"):
        assert refused(client, f"/inspections{path}") == (404, "archive_off")


def test_a_database_that_refuses_is_a_problem_and_never_a_verdict(start: StartClient, tmp_path: Path) -> None:
    client = start(archive=str(tmp_path))
    post(client)
    archive = client.app.state.archive
    with archive._database.writing() as connection:
        connection.execute(text("ALTER TABLE inspections RENAME TO gone"))
    response = client.post("/inspect", content=GOOD, headers=JPEG)
    assert (response.status_code, response.json()["code"]) == (503, "archive_unavailable")
    assert response.json()["verdict"] == "invalid"
    assert client.get("/readyz").status_code == 503
    assert "archive" in client.get("/readyz").json()["reasons"][0]
    assert refused(client, "/inspections") == (503, "archive_unavailable")
