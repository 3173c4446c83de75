"""`POST /inspect`: what can be sent, and what is answered."""

import base64
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from models.photo import decode_photo
from models.session import CPU
from service.http.answers import InspectionAnswer
from tests.service.conftest import StartClient
from tests.tiny_bundle import (
    anomalous_photo,
    clean_photo,
    encode,
    make_tiny_bundle,
    scratched_photo,
)

JPEG = {"content-type": "image/jpeg"}


def post(client: TestClient, data: bytes, query: str = "", **headers: str) -> dict[str, Any]:
    response = client.post(f"/inspect{query}", content=data, headers={**JPEG, **headers})
    assert response.status_code == 200, response.text
    return response.json()


def test_a_form_and_a_raw_body_get_the_same_answer(client: TestClient) -> None:
    data = encode(scratched_photo(), ".jpg")
    said = {"part": "bracket", "serial": "A17", "camera": "cam3"}
    form = client.post("/inspect", files={"image": ("part.jpg", data, "image/jpeg")}, data=said)
    assert form.status_code == 200, form.text
    raw = post(client, data, "?part=bracket&serial=A17&camera=cam3")
    own = {"id", "timings_ms"}
    assert {k: v for k, v in form.json().items() if k not in own} == {
        k: v for k, v in raw.items() if k not in own
    }
    assert raw["serial"] == "A17"
    assert raw["camera"] == "cam3"


def test_the_answer_holds_what_was_found_and_what_it_rests_on(client: TestClient) -> None:
    answer = post(client, encode(scratched_photo(), ".jpg"))
    InspectionAnswer.model_validate(answer)
    assert answer["verdict"] == "scratched"
    assert answer["score"] >= 0.5
    assert answer["rules"] == ["classifier", "anomaly"]
    assert answer["classifier"]["probabilities"]["scratched"] > answer["classifier"]["limit"]
    assert answer["anomaly"]["score"] > answer["anomaly"]["limit"]
    assert answer["bundle_version"] == "20260101-000000"
    assert answer["provider"] == CPU
    assert answer["image"]["width"] == 160
    box = answer["regions"][0]["box"]  # the scratch was painted at x 32..64, y 40..120
    assert abs(box["x"] - 32) <= 10
    assert abs(box["y"] - 40) <= 10
    assert abs(box["height"] - 80) <= 20


@pytest.mark.parametrize(
    ("pixels", "verdict"),
    [(clean_photo(), "clean"), (scratched_photo(), "scratched"), (anomalous_photo(), "anomalous")],
    ids=["clean", "scratched", "anomalous"],
)
@pytest.mark.parametrize(
    ("suffix", "media_type"),
    [
        (".jpg", "image/jpeg"),
        (".png", "image/png"),
        (".bmp", "image/bmp"),
        (".tiff", "image/tiff"),
        (".webp", "image/webp"),
    ],
)
def test_every_format_is_taken(
    client: TestClient, pixels, verdict: str, suffix: str, media_type: str
) -> None:
    answer = post(client, encode(pixels, suffix), **{"content-type": media_type})
    assert answer["verdict"] == verdict
    assert (answer["score"] >= 0.5) == (verdict != "clean")
    assert answer["image"]["media_type"] == media_type


def test_the_bytes_and_not_the_content_type_tell_the_format(client: TestClient) -> None:
    data = encode(clean_photo(), ".png")
    assert post(client, data, **{"content-type": "image/jpeg"})["image"]["media_type"] == "image/png"
    assert post(client, data, **{"content-type": "application/octet-stream"})["verdict"] == "clean"


def test_the_overlay_comes_as_jpeg_as_png_or_not_at_all(client: TestClient) -> None:
    data = encode(scratched_photo((120, 240)), ".jpg")
    for query, media_type in (
        ("", "image/jpeg"),
        ("?overlay=jpeg", "image/jpeg"),
        ("?overlay=png", "image/png"),
    ):
        heatmap = post(client, data, query)["heatmap"]
        assert heatmap["media_type"] == media_type
        picture = decode_photo(base64.b64decode(heatmap["data"], validate=True))
        assert picture.media_type == media_type
        assert (picture.height, picture.width) == (120, 240)
    assert "heatmap" not in post(client, data, "?overlay=none")


def test_overlay_can_be_chosen_in_a_form_too(client: TestClient) -> None:
    files = {"image": ("part.jpg", encode(clean_photo(), ".jpg"), "image/jpeg")}
    response = client.post("/inspect", files=files, data={"overlay": "none"})
    assert response.status_code == 200
    assert "heatmap" not in response.json()


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png"])
def test_accept_gets_the_overlay_itself_with_the_verdict_in_headers(
    client: TestClient, media_type: str
) -> None:
    response = client.post(
        "/inspect?serial=Prüfling%207%25&camera=cam3&overlay=none",
        content=encode(anomalous_photo(), ".jpg"),
        headers={**JPEG, "accept": media_type},
    )
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == media_type
    assert decode_photo(response.content).media_type == media_type
    assert response.headers["x-glint-verdict"] == "anomalous"
    assert 0.5 <= float(response.headers["x-glint-score"]) <= 1.0
    assert response.headers["x-glint-needs-review"] == "true"
    assert response.headers["x-glint-part"] == "bracket"
    assert response.headers["x-glint-provider"] == CPU
    assert response.headers["x-glint-serial"] == "Pr%C3%BCfling 7%25"
    assert response.headers["x-glint-camera"] == "cam3"
    assert len(response.headers["x-glint-id"]) == 32


def test_the_id_in_the_header_is_the_id_in_the_answer(client: TestClient) -> None:
    response = client.post("/inspect", content=encode(clean_photo(), ".jpg"), headers=JPEG)
    assert response.headers["x-glint-id"] == response.json()["id"]


def test_empty_fields_count_as_not_given(client: TestClient) -> None:
    answer = post(client, encode(clean_photo(), ".jpg"), "?part=&serial=&camera=&overlay=")
    assert (answer["serial"], answer["camera"], answer["part"]) == (None, None, "bracket")
    assert "heatmap" in answer


def test_each_part_is_inspected_with_its_own_bundle(start: StartClient, tmp_path: Path) -> None:
    make_tiny_bundle(tmp_path, part="bracket")
    make_tiny_bundle(tmp_path, part="nut", classes=("clean", "bent"), size=(32, 96))
    make_tiny_bundle(tmp_path, part="tile", classes=("clean",))
    client = start(bundles=tmp_path)
    data = encode(scratched_photo(), ".jpg")
    verdicts = {part: post(client, data, f"?part={part}")["verdict"] for part in ("bracket", "nut", "tile")}
    assert verdicts == {"bracket": "scratched", "nut": "bent", "tile": "anomalous"}


def test_the_newest_bundle_of_a_part_is_served(start: StartClient, tmp_path: Path) -> None:
    make_tiny_bundle(tmp_path, version="20260101-000000")
    make_tiny_bundle(tmp_path, version="20260202-000000", classes=("clean", "dented"))
    answer = post(start(bundles=tmp_path), encode(scratched_photo(), ".jpg"))
    assert (answer["bundle_version"], answer["verdict"]) == ("20260202-000000", "dented")
