"""The station's pictures: photos, maps and overlays, as they were judged."""

import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from models import photo as photo_module
from models.answer import ImageFacts
from models.formats import PhotoLimits
from models.heat_map import read_map
from models.overlay import MAX_SIDE
from service.station.pictures import Previews
from service.station.recent import Picture
from tests.service.conftest import StartClient
from tests.service.station_pages import HTML, data_of, page_of, pixels_of, post
from tests.tiny_bundle import (
    ANOMALY_LIMIT,
    PHOTO_SIZE,
    anomalous_photo,
    clean_photo,
    encode,
    make_tiny_bundle,
    scratched_photo,
)

JPEG = {"content-type": "image/jpeg"}


def test_the_map_is_the_one_that_was_judged(client: TestClient) -> None:
    found = post(client, encode(anomalous_photo()))
    answer = client.get(f"/inspections/{found}").json()["answer"]
    data = data_of(page_of(client, found))["map"]
    assert isinstance(data, dict)
    assert data["scale"]["limit"] == ANOMALY_LIMIT
    raw = client.get(f"/station/inspections/{found}/map").content
    values = np.frombuffer(raw, "<f4").reshape(data["height"], data["width"])
    assert values.max() == pytest.approx(answer["anomaly"]["score"], rel=1e-3)
    row, column = np.unravel_index(values.argmax(), values.shape)
    box = answer["regions"][0]["box"]
    x, y = (column + 0.5) * PHOTO_SIZE[1] / data["width"], (row + 0.5) * PHOTO_SIZE[0] / data["height"]
    assert box["x"] <= x <= box["x"] + box["width"]
    assert box["y"] <= y <= box["y"] + box["height"]


def test_the_answers_overlay_carries_the_map_as_well(client: TestClient) -> None:
    answer = client.post(
        "/inspect", content=encode(anomalous_photo(), ".jpg"), headers={**JPEG, "accept": "image/jpeg"}
    )
    assert read_map(answer.content) is not None


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_photos_are_shown_to_their_last_pixel(client: TestClient, suffix: str) -> None:
    photo = scratched_photo()
    kind = {".png": "image/png", ".bmp": "image/bmp", ".tif": "image/tiff"}[suffix]
    shown = client.get(f"/station/inspections/{post(client, encode(photo, suffix), kind=kind)}/photo")
    assert shown.headers["content-type"] == ("image/png" if suffix == ".tif" else kind)
    assert np.array_equal(pixels_of(shown), photo)


def test_sixteen_bits_are_shown_as_the_model_saw_them(client: TestClient) -> None:
    grey = clean_photo()[..., 0]
    shown = client.get(f"/station/inspections/{post(client, encode(grey.astype(np.uint16) * 257))}/photo")
    assert np.array_equal(pixels_of(shown)[..., 0], grey)


def test_the_board_shows_the_overlay_or_the_photo_made_small(client: TestClient) -> None:
    drawn = client.get(f"/station/pictures/{post(client, encode(scratched_photo()))}")
    assert pixels_of(drawn).shape == (*PHOTO_SIZE, 3)
    large = encode(clean_photo((300, 2 * MAX_SIDE)), ".jpg")
    shown = client.get(f"/station/pictures/{post(client, large, 'overlay=none', 'image/jpeg')}")
    assert shown.headers["content-type"] == "image/jpeg"
    assert pixels_of(shown).shape == (150, MAX_SIDE, 3)


def test_a_clean_part_without_overlay_is_shown_without_heat(client: TestClient) -> None:
    found = post(client, encode(clean_photo()), "overlay=none")
    page = page_of(client, found)
    assert data_of(page)["map"] is None
    assert "asked for no overlay" in page.text
    answer = client.get(f"/station/inspections/{found}/map")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_overlay")


def test_the_difference_to_the_mean_clean_part_shows_what_is_not_on_it(client: TestClient) -> None:
    found = post(client, encode(anomalous_photo()))
    page = page_of(client, found)
    assert 'value="difference"' in page.text
    drawn = pixels_of(client.get(str(data_of(page)["difference"]))).astype(int)
    assert drawn.shape == (64, 64, 3)
    red, _, blue = drawn[46, 46]
    assert red > blue + 80, "the white spot is brighter"
    assert drawn[10, 10].max() < 60, "the rest is like the mean"


def test_a_clean_part_without_overlay_has_its_difference(client: TestClient) -> None:
    found = post(client, encode(clean_photo()), "overlay=none")
    text = page_of(client, found).text
    assert re.findall(r'name="layer" value="(\w+)"', text) == ["photo", "difference"]


def test_what_cannot_be_compared_is_said_to_be(tmp_path: Path, start: StartClient) -> None:
    make_tiny_bundle(tmp_path / "bundles", mean=False)
    client = start(bundles=tmp_path / "bundles")
    found = post(client, encode(scratched_photo()))
    page = page_of(client, found)
    assert "holds none" in page.text
    assert 'value="difference"' not in page.text
    answer = client.get(f"/station/inspections/{found}/difference")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_mean")


def test_the_difference_is_to_the_bundle_that_judged(tmp_path: Path, start: StartClient) -> None:
    older = make_tiny_bundle(tmp_path / "bundles")
    kept = {"bundles": tmp_path / "bundles", "archive": str(tmp_path / "archive")}
    found = post(start(**kept), encode(scratched_photo()))
    make_tiny_bundle(tmp_path / "bundles", version="20260102-000000", mean=False)
    client = start(**kept)
    assert client.get("/parts").json()[0]["version"] == "20260102-000000"
    assert pixels_of(client.get(f"/station/inspections/{found}/difference")).shape == (64, 64, 3)
    shutil.rmtree(older)
    assert "20260101-000000, which judged this part, is not there any more" in page_of(client, found).text
    answer = client.get(f"/station/inspections/{found}/difference")
    assert (answer.status_code, answer.json()["code"]) == (404, "version_gone")


def test_a_part_that_is_not_served_now_has_its_difference_all_the_same(
    tmp_path: Path, start: StartClient
) -> None:
    bundle = make_tiny_bundle(tmp_path / "bundles")
    kept = {"bundles": tmp_path / "bundles", "archive": str(tmp_path / "archive")}
    found = post(start(**kept), encode(scratched_photo()))
    (bundle / "inspector.onnx").write_bytes(b"damaged")
    client = start(**kept)
    assert client.get("/parts").json() == []
    assert pixels_of(client.get(f"/station/inspections/{found}/difference")).shape == (64, 64, 3)


def test_pictures_that_are_gone_are_said_to_be(start: StartClient) -> None:
    client = start(archive_photos="none")
    found = post(client, encode(scratched_photo()))
    client.app.state.station.feed.recent._pictures.clear()
    page = page_of(client, found)
    assert page.status_code == 200
    assert "The policy kept no photo" in page.text
    answer = client.get(f"/station/pictures/{found}")
    assert (answer.status_code, answer.json()["code"]) == (404, "photo_not_kept")


def test_a_photo_that_cannot_be_shown_is_said_to_be_on_a_page(start: StartClient, tmp_path: Path) -> None:
    before = start(archive=str(tmp_path / "archive"))
    found = post(before, encode(clean_photo()), "overlay=none")
    client = start(archive=str(tmp_path / "archive"), max_pixels=100)
    answer = client.get(f"/station/pictures/{found}", headers=HTML)
    assert (answer.status_code, answer.headers["x-glint-problem"]) == (413, "too_many_pixels")
    assert answer.headers["content-type"].startswith("text/html")
    assert "pixels" in answer.text


def test_a_picture_made_once_takes_neither_database_nor_disk(start: StartClient, tmp_path: Path) -> None:
    client = start(archive=str(tmp_path), archive_photos="all")
    photo = encode(clean_photo((1200, 1600)), ".png")
    answer = client.post("/inspect?overlay=none", content=photo, headers={"content-type": "image/png"})
    address = f"/station/pictures/{answer.json()['id']}"
    first = client.get(address)
    assert max(pixels_of(first).shape) == MAX_SIDE
    for path in sorted(tmp_path.rglob("*"), reverse=True):
        if path.is_file():
            path.unlink()
    assert client.get(address).content == first.content


def test_photos_are_decoded_one_at_a_time_for_pages_and_board_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_work, most = 0, 0
    decode = photo_module.decode_photo

    def watch(*given: object, **options: object) -> object:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        time.sleep(0.05)
        try:
            return decode(*given, **options)
        finally:
            at_work -= 1

    monkeypatch.setattr(photo_module, "decode_photo", watch)
    previews = Previews(PhotoLimits())
    deep = Picture(encode((clean_photo().astype(np.uint16)) * 257), "image/png")
    facts = ImageFacts(
        width=8, height=8, sha256="0" * 64, media_type="image/png", bit_depth=16, letterboxed=False
    )
    with ThreadPoolExecutor(4) as pool:
        whole = [pool.submit(previews.displayable, deep, facts, 65535) for _ in range(2)]
        small = [pool.submit(previews.preview, f"{number:032x}", deep, 65535) for number in range(2)]
        assert {each.result().media_type for each in whole} == {"image/png"}
        assert {each.result().media_type for each in small} == {"image/jpeg"}
    assert most == 1
