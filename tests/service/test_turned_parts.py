"""`POST /inspect` of parts that lie anyhow: laid on the bundle's template, or `invalid` with the reason."""

import base64
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from models.heat_map import read_map
from tests.service.conftest import StartClient
from tests.service.test_http_inspect import JPEG, post
from tests.tiny_bundle import encode
from tests.turned_bundle import make_turned_bundle, spot_at, turned_part


@pytest.fixture
def turned(start: StartClient, tmp_path: Path) -> TestClient:
    make_turned_bundle(tmp_path)
    return start(bundles=tmp_path)


def test_the_regions_and_the_heat_lie_on_the_part_as_it_was_posted(turned: TestClient) -> None:
    data = encode(turned_part(130.0, 0.05, 0.04, spot=True))
    answer = post(turned, data, "?part=bracket&overlay=jpeg")
    x, y = spot_at(130.0, 0.05, 0.04)
    assert answer["verdict"] == "anomalous"
    box = answer["regions"][0]["box"]
    assert box["x"] < x < box["x"] + box["width"]
    assert box["y"] < y < box["y"] + box["height"]
    heat = read_map(base64.b64decode(answer["heatmap"]["data"]))
    assert heat is not None
    assert heat.place.pose is not None
    row, column = np.unravel_index(heat.on_photo().argmax(), heat.on_photo().shape)
    assert (2 * column, 2 * row) == pytest.approx((x, y), abs=16)


def test_a_photo_without_the_part_is_invalid_and_the_reason_is_told(turned: TestClient) -> None:
    empty = np.full((192, 192, 3), 110, np.uint8)
    response = turned.post("/inspect?part=bracket", content=encode(empty), headers=JPEG)
    assert response.status_code == 422
    answer = response.json()
    assert (answer["code"], answer["verdict"]) == ("quality_gate", "invalid")
    assert "registration 0 is outside 0.7 to 1" in answer["detail"]
    (reading,) = (each for each in answer["quality"] if each["name"] == "registration")
    assert (reading["ok"], reading["low"], reading["high"]) == (False, 0.7, 1.0)
    assert post(turned, encode(turned_part(-70.0)), "?part=bracket")["verdict"] == "clean"
