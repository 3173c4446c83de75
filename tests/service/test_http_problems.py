"""Whatever is wrong, the answer is a problem body with `verdict: invalid`, and says what to do."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from models.quality import QualityGate, Range
from service.http.problems import Problem
from tests.service.conftest import StartClient
from tests.tiny_bundle import clean_photo, encode, make_tiny_bundle, poisonous_photo, unmeasurable_photo

GOOD = encode(clean_photo(), ".jpg")
JPEG = {"content-type": "image/jpeg"}
FORM = {"content-type": "multipart/form-data; boundary=cut"}


def problem_of(response: Response, status: int, code: str) -> dict[str, Any]:
    """Check what holds of every problem and return its body."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    Problem.model_validate(problem)
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["type"] == f"urn:glint:problem:{code}"
    assert problem["verdict"] == "invalid"
    assert problem["id"] == response.headers["x-glint-id"]
    assert problem["title"]
    assert problem["detail"]
    return problem


def png_header(width: int, height: int) -> bytes:
    """A PNG that is nothing but a header."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 400, "empty"),
        (b"no photo at all", 415, "not_an_image"),
        (GOOD[: len(GOOD) // 2], 422, "truncated"),
        (png_header(50_000, 50_000), 413, "too_many_pixels"),
        (encode(np.zeros((64, 64, 3), np.uint8)), 422, "quality_gate"),
        (encode(unmeasurable_photo()), 500, "untrustworthy_outputs"),
        (encode(poisonous_photo()), 500, "inference_failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_photo_that_cannot_be_inspected(client: TestClient, data: bytes, status: int, code: str) -> None:
    problem_of(client.post("/inspect", content=data, headers=JPEG), status, code)
    problem_of(client.post("/inspect", files={"image": ("a.jpg", data, "image/jpeg")}), status, code)
    problem_of(client.post("/inspect", content=data, headers={**JPEG, "accept": "image/jpeg"}), status, code)


def test_a_photo_outside_the_quality_gate_is_answered_with_its_readings(
    start: StartClient, tmp_path: Path
) -> None:
    limits = {"brightness": Range(low=0.4, high=0.6), "aspect": Range(low=0.9, high=1.1)}
    make_tiny_bundle(tmp_path, quality=QualityGate(limits=limits))
    client = start(bundles=tmp_path)
    problem = problem_of(
        client.post("/inspect", content=encode(np.full((64, 64, 3), 50, np.uint8)), headers=JPEG),
        422,
        "quality_gate",
    )
    assert "brightness 0.1961 is outside 0.4 to 0.6" in problem["detail"]
    readings = {reading["name"]: reading for reading in problem["quality"]}
    assert readings["brightness"]["ok"] is False
    assert readings["aspect"] == {"name": "aspect", "value": 1.0, "low": 0.9, "high": 1.1, "ok": True}
    assert readings["sharpness"]["low"] is None
    answer = client.post("/inspect", content=GOOD, headers=JPEG).json()
    assert {reading["name"] for reading in answer["quality"]} == set(readings)
    assert all(reading["ok"] for reading in answer["quality"])
    other = problem_of(client.post("/inspect?part=lid", content=GOOD, headers=JPEG), 404, "unknown_part")
    assert "quality" not in other


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "image/gif"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json"},
        {**JPEG, "content-encoding": "gzip"},
    ],
    ids=str,
)
def test_a_content_type_that_is_not_taken(client: TestClient, headers: dict[str, str]) -> None:
    response = client.post("/inspect", content=GOOD, headers=headers)
    problem_of(response, 415, "unsupported_media_type")


def test_too_many_bytes_whatever_the_content_length_says(start: StartClient) -> None:
    client = start(max_bytes=len(GOOD))
    assert client.post("/inspect", content=GOOD, headers=JPEG).status_code == 200
    large = GOOD + b"\0"
    for length in ({}, {"content-length": "10"}, {"content-length": str(10**30)}):
        response = client.post("/inspect", content=large, headers={**JPEG, **length})
        problem_of(response, 413, "too_many_bytes")
    problem_of(client.post("/inspect", content=iter([large]), headers=JPEG), 413, "too_many_bytes")
    for data in (large, bytes(200_000)):
        response = client.post("/inspect", files={"image": ("a.jpg", data, "image/jpeg")})
        problem_of(response, 413, "too_many_bytes")
    padded = {"image": ("a.jpg", GOOD, "image/jpeg"), "serial": ("x" * 100_000, b"")}
    assert client.post("/inspect", files=padded).status_code == 413


def test_a_part_that_is_not_loaded_is_answered_with_those_that_are(
    start: StartClient, tmp_path: Path
) -> None:
    make_tiny_bundle(tmp_path, part="bracket")
    make_tiny_bundle(tmp_path, part="nut")
    client = start(bundles=tmp_path)
    unknown = problem_of(client.post("/inspect?part=bolt", content=GOOD, headers=JPEG), 404, "unknown_part")
    assert "'bolt'" in unknown["detail"]
    assert "bracket, nut" in unknown["detail"]
    unnamed = problem_of(client.post("/inspect", content=GOOD, headers=JPEG), 422, "part_not_named")
    assert "bracket or nut" in unnamed["detail"]


@pytest.mark.parametrize(
    "part", ["../bracket", "/etc/passwd", "bracket/20260101-000000", "<script>", "Bracket"]
)
def test_a_part_name_never_reaches_the_file_system(client: TestClient, part: str) -> None:
    response = client.post("/inspect", params={"part": part}, content=GOOD, headers=JPEG)
    problem_of(response, 404, "unknown_part")


@pytest.mark.parametrize(
    "query",
    [
        "?seriel=A17",
        "?serial=A17&serial=A18",
        "?serial=" + "x" * 129,
        "?serial=A%0D%0AX-Glint-Verdict:%20clean",
        "?camera=%00",
        "?camera=%FF",
        "?overlay=gif",
        "?part=bracket%0A",
    ],
)
def test_a_field_that_cannot_be_used(client: TestClient, query: str) -> None:
    problem_of(client.post(f"/inspect{query}", content=GOOD, headers=JPEG), 422, "bad_field")


def test_a_field_in_query_and_form_is_refused_rather_than_guessed(client: TestClient) -> None:
    response = client.post(
        "/inspect?serial=A17", files={"image": ("a.jpg", GOOD, "image/jpeg")}, data={"serial": "A18"}
    )
    problem_of(response, 422, "bad_field")


def test_the_longest_serial_is_taken(client: TestClient) -> None:
    serial = "ß" * 128
    response = client.post("/inspect", params={"serial": serial}, content=GOOD, headers=JPEG)
    assert response.json()["serial"] == serial
    files = {"image": ("a.jpg", GOOD, "image/jpeg")}
    assert client.post("/inspect", files=files, data={"serial": serial}).json()["serial"] == serial


def part_of_form(name: str, content: bytes, filename: str | None = None) -> bytes:
    disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename else "")
    return f"--cut\r\ncontent-disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"


IMAGE = part_of_form("image", GOOD, "a.jpg")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed_body"),
        (b"no form at all", 400, "malformed_body"),
        (IMAGE[:-100], 400, "malformed_body"),
        (IMAGE + part_of_form("serial", b"A17"), 400, "malformed_body"),
        (IMAGE + IMAGE + b"--cut--\r\n", 400, "malformed_body"),
        (IMAGE + part_of_form("serial", b"x" * 5000) + b"--cut--\r\n", 400, "malformed_body"),
        (part_of_form("serial", b"A17") + b"--cut--\r\n", 422, "bad_field"),
        (part_of_form("photo", GOOD, "a.jpg") + b"--cut--\r\n", 422, "bad_field"),
        (part_of_form("image", b"a.jpg") + b"--cut--\r\n", 422, "bad_field"),
        (IMAGE + part_of_form("seriel", b"A17") + b"--cut--\r\n", 422, "bad_field"),
        (part_of_form("image", b"", "a.jpg") + b"--cut--\r\n", 400, "empty"),
    ],
    ids=[
        "no bytes",
        "no boundary",
        "cut in the photo",
        "cut behind a field",
        "two photos",
        "a field too long",
        "no photo",
        "photo in another field",
        "photo is no file",
        "unknown field",
        "empty photo",
    ],
)
def test_a_form_that_cannot_be_used(client: TestClient, body: bytes, status: int, code: str) -> None:
    problem_of(client.post("/inspect", content=body, headers=FORM), status, code)


def test_a_form_needs_its_boundary(client: TestClient) -> None:
    headers = {"content-type": "multipart/form-data"}
    problem_of(client.post("/inspect", content=IMAGE, headers=headers), 400, "malformed_body")


@pytest.mark.parametrize("value", ["0", "-5", "1.5", "soon", "", "60001", "9" * 40, "²"])
def test_a_deadline_that_is_not_a_time(client: TestClient, value: str) -> None:
    headers = {**JPEG, "x-deadline-ms": value.encode("utf-8")}
    problem_of(client.post("/inspect", content=GOOD, headers=headers), 422, "bad_field")


def test_a_deadline_too_short_to_keep(client: TestClient) -> None:
    photo = encode(clean_photo((1500, 1500)), ".png")
    response = client.post("/inspect", content=photo, headers={**JPEG, "x-deadline-ms": "1"})
    assert response.json()["code"] in ("deadline_missed", "upload_too_slow")
    problem_of(response, response.status_code, response.json()["code"])
    assert client.post("/inspect", content=GOOD, headers={**JPEG, "x-deadline-ms": "5000"}).status_code == 200


def test_when_all_places_are_taken_the_next_is_told_when_to_come_back(start: StartClient) -> None:
    client = start(queue_size=1)
    with client.app.state.inspections.places.take():
        response = client.post("/inspect", content=GOOD, headers=JPEG)
    problem_of(response, 503, "queue_full")
    assert int(response.headers["retry-after"]) >= 1
    assert client.post("/inspect", content=GOOD, headers=JPEG).status_code == 200


def test_a_photo_that_cannot_be_in_time_behind_the_others_is_told_so(client: TestClient) -> None:
    part = client.app.state.registry.part(None)
    part.batcher.pace.learn(part.inspector, 1000.0)
    with part.batcher.pace.at_work(part.inspector):
        response = client.post("/inspect", content=GOOD, headers=JPEG)
    problem_of(response, 503, "queue_too_long")
    assert int(response.headers["retry-after"]) >= 1
    assert client.post("/inspect", content=GOOD, headers=JPEG).status_code == 200


def test_a_path_that_does_not_exist_and_a_method_that_is_not_taken(client: TestClient) -> None:
    problem_of(client.get("/inspected/1"), 404, "not_found")
    response = client.get("/inspect")
    problem_of(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


def test_an_unforeseen_error_is_logged_with_its_id_and_tells_no_secrets(
    start: StartClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = start()
    registry = client.app.state.registry
    client.app.state.registry = None
    response = client.get("/parts")
    client.app.state.registry = registry
    problem = problem_of(response, 500, "internal")
    assert "Traceback" not in response.text
    assert "NoneType" not in response.text
    logged = next(record for record in caplog.records if problem["id"] in record.getMessage())
    assert logged.exc_info is not None
