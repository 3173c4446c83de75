"""Judging and the queue over HTTP: `/inspections/{id}/judgements` and `/reviews`."""

import base64
import io
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from service.access.commands import add_key
from service.http.bodies import MAX_JUDGEMENT_BYTES
from tests.service.conftest import StartClient
from tests.service.review.drawings import drawing
from tests.tiny_bundle import anomalous_photo, clean_photo, encode, scratched_photo

HOLDER = {"holder": "a" * 32}
PAINTS = {"clean": clean_photo, "scratched": scratched_photo, "anomalous": anomalous_photo}


def inspect(client: TestClient, kind: str = "scratched", seed: int = 0, **fields: str) -> str:
    photo = encode(PAINTS[kind](seed=seed))
    answer = client.post("/inspect", content=photo, params=fields, headers={"content-type": "image/png"})
    assert answer.json()["verdict"] == kind
    return answer.json()["id"]


def test_a_judgement_is_recorded_and_found_again(client: TestClient) -> None:
    path = f"/inspections/{inspect(client)}/judgements"
    mask = base64.b64encode(drawing()).decode()
    order = {"decision": "accept", "operator": "Anna", "note": "on the edge\nof the hole", "mask": mask}
    made = client.post(path, json=order)
    assert made.status_code == 201, made.text
    said = made.json()
    assert (said["label"], said["operator"], said["stands"]) == ("scratched", "Anna", said["id"])
    assert client.get(path).json() == {"judgements": [said], "standing": said["id"]}
    with Image.open(io.BytesIO(client.get(said["mask_url"]).content)) as picture:
        assert (picture.mode, picture.size) == ("L", (160, 160))


def test_two_operators_on_one_part_are_both_told(client: TestClient) -> None:
    path = f"/inspections/{inspect(client)}/judgements"
    first = client.post(path, json={"decision": "accept", "operator": "Anna"}).json()
    second = {"decision": "overrule", "operator": "Ben"}
    refused = client.post(path, json=second)
    assert (refused.status_code, refused.json()["code"]) == (409, "judged_meanwhile")
    assert "Anna" in refused.json()["detail"]
    assert first["id"] in refused.json()["detail"]
    both = client.post(path, json={**second, "supersedes": first["id"]})
    assert both.status_code == 201
    assert [each["operator"] for each in client.get(path).json()["judgements"]] == ["Anna", "Ben"]
    undone = client.post(path, json={"decision": "undo", "operator": "Ben", "supersedes": both.json()["id"]})
    assert undone.json()["stands"] == first["id"]


@pytest.mark.parametrize(
    ("order", "status", "code"),
    [
        ({"decision": "accept"}, 422, "bad_field"),
        ({"decision": "accept", "operator": "  "}, 422, "bad_field"),
        ({"decision": "accept", "operator": "A\x00"}, 422, "bad_field"),
        ({"decision": "perhaps", "operator": "Anna"}, 422, "bad_field"),
        ({"decision": "accept", "operator": "Anna", "label": "ok"}, 422, "bad_field"),
        ({"decision": "accept", "operator": "Anna", "note": "n" * 1001}, 422, "bad_field"),
        ({"decision": "accept", "operator": "Anna", "note": "\x00"}, 422, "bad_field"),
        ({"decision": "accept", "operator": "Anna", "mask": "!"}, 422, "bad_mask"),
        ({"decision": "accept", "operator": "Anna", "mask": "AAAA"}, 422, "bad_mask"),
        ({"decision": "accept", "operator": "Anna", "supersedes": "0" * 32}, 404, "unknown_judgement"),
        ({"decision": "undo", "operator": "Anna"}, 409, "nothing_to_undo"),
        (
            {"decision": "accept", "operator": "Anna", "mask": "A" * MAX_JUDGEMENT_BYTES},
            413,
            "body_too_large",
        ),
    ],
)
def test_what_cannot_be_recorded_is_refused(
    client: TestClient, order: dict[str, str], status: int, code: str
) -> None:
    path = f"/inspections/{inspect(client)}/judgements"
    answer = client.post(path, json=order)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert client.get(path).json() == {"judgements": [], "standing": None}


def test_what_is_not_there_is_not_judged(client: TestClient) -> None:
    order = {"decision": "accept", "operator": "Anna"}
    for unknown in ("0" * 32, "x"):
        for answer in (
            client.post(f"/inspections/{unknown}/judgements", json=order),
            client.get(f"/inspections/{unknown}/judgements"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_inspection")
    known = inspect(client)
    answer = client.get(f"/inspections/{known}/judgements/{'0' * 32}/mask")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_judgement")


def test_the_queue_over_http(client: TestClient) -> None:
    first, second = inspect(client), inspect(client, "anomalous")
    inspect(client, "clean")
    listed = client.get("/reviews").json()
    assert [item["inspection_id"] for item in listed["items"]] == [first, second]
    assert listed["waiting"]["defect"] == 2
    assert client.post("/reviews/next", json=HOLDER).json() == {"inspection_id": first}
    other = {"holder": "b" * 32}
    assert client.post("/reviews/next", json=other).json() == {"inspection_id": second}
    lease = f"/reviews/{first}/lease"
    assert client.post(lease, json=other).json()["code"] == "held_by_another"
    assert client.post(lease, json=HOLDER).json() == {"inspection_id": first}
    assert client.post(lease, json={**HOLDER, "give_back": True}).json() == {"inspection_id": None}
    third = {"holder": "c" * 32}
    assert client.post("/reviews/next", json=third).json() == {"inspection_id": first}
    assert client.post("/reviews/next", json=HOLDER).json() == {"inspection_id": None}
    order = {"decision": "accept", "operator": "Anna"}
    client.post(f"/inspections/{first}/judgements", json=order)
    assert client.get("/reviews", params={"part": "bracket"}).json()["judged"] == 1
    assert client.get("/reviews", params={"reason": "sample"}).json()["items"] == []


def test_cameras_may_not_judge_and_the_key_is_recorded(start: StartClient, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    camera, _ = add_key(keys, "line", "camera")
    operator, operator_id = add_key(keys, "shift", "operator")
    client = start(keys=keys, open_health=True)
    photo = encode(scratched_photo())
    inspection_id = client.post(
        "/inspect", content=photo, headers={"content-type": "image/png", "x-api-key": camera}
    ).json()["id"]
    path = f"/inspections/{inspection_id}/judgements"
    order = {"decision": "accept", "operator": "Anna"}
    for method, target, body in (
        ("POST", path, order),
        ("GET", "/reviews", None),
        ("POST", "/reviews/next", HOLDER),
    ):
        answer = client.request(method, target, json=body, headers={"x-api-key": camera})
        assert answer.status_code == 403
    made = client.post(path, json=order, headers={"x-api-key": operator})
    assert made.json()["key_id"] == operator_id


def test_without_an_archive_there_is_nothing_to_judge(start: StartClient) -> None:
    client = start(archive="none")
    for answer in (
        client.get("/reviews"),
        client.post("/reviews/next", json=HOLDER),
        client.get(f"/inspections/{'0' * 32}/judgements"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "archive_off")
