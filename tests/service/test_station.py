"""The station's pages as HTTP: what they show, and from where."""

import html
import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from httpx import Response

from models import photo as photo_module
from models.answer import ImageFacts
from models.formats import PhotoLimits
from models.heat_map import read_map
from models.overlay import MAX_SIDE
from service.station.pictures import Previews
from service.station.recent import Picture
from tests.service.conftest import StartClient
from tests.tiny_bundle import (
    ANOMALY_LIMIT,
    PHOTO_SIZE,
    anomalous_photo,
    clean_photo,
    encode,
    scratched_photo,
    unmeasurable_photo,
)

HTML = {"accept": "text/html"}
JPEG = {"content-type": "image/jpeg"}


def post(client: TestClient, photo: bytes, query: str = "", kind: str = "image/png") -> str:
    """Inspect a photo; return the id."""
    answer = client.post(f"/inspect?{query}", content=photo, headers={"content-type": kind})
    return str(answer.json()["id"])


def page_of(client: TestClient, inspection_id: str) -> Response:
    return client.get(f"/station/inspections/{inspection_id}", headers=HTML)


def data_of(page: Response) -> dict[str, object]:
    found = re.search(r'id="inspection-data">(.*?)</script>', page.text, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def pixels_of(answer: Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    found = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return found[..., ::-1]


def test_the_page_tells_what_was_found_and_why(client: TestClient) -> None:
    found = post(client, encode(scratched_photo()), "serial=A17&camera=cam3")
    page = page_of(client, found)
    assert page.status_code == 200
    text = html.unescape(re.sub(r"<[^>]+>", " ", page.text))
    for expected in (
        "scratched",
        "A17",
        "cam3",
        "20260101-000000",
        "Rejected by both opinions",
        "limit 3.00",
    ):
        assert expected in text, expected
    data = data_of(page)
    assert (data["width"], data["height"]) == PHOTO_SIZE[::-1]
    regions = client.get(f"/inspections/{found}").json()["answer"]["regions"]
    assert data["regions"] == regions
    assert page.text.count("data-region=") == len(regions) > 0


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


def test_what_got_no_verdict_is_never_shown_as_if_it_had_one(client: TestClient) -> None:
    answer = client.post(
        "/inspect", content=encode(unmeasurable_photo()), headers={"content-type": "image/png"}
    )
    assert answer.status_code == 500
    page = page_of(client, answer.json()["id"])
    assert 'data-kind="invalid"' in page.text
    assert "treat the part as not inspected" in page.text
    assert 'data-kind="clean"' not in page.text.partition('<nav class="neighbours"')[0]


def test_the_neighbours_are_of_the_same_camera_and_in_the_order_of_time(client: TestClient) -> None:
    ids = [
        post(client, encode(clean_photo(seed=n)), f"serial=A{n}&camera=cam{n % 2}&overlay=none")
        for n in range(12)
    ]
    text = page_of(client, ids[5]).text
    shown = re.findall(r'class="neighbour" href="/station/inspections/([0-9a-f]{32})"', text)
    assert shown == [ids[1], ids[3], ids[7], ids[9], ids[11]]
    assert re.search(rf'{ids[3]}" rel="prev"', text)
    assert re.search(rf'{ids[7]}" rel="next"', text)


@pytest.mark.parametrize("archive", ["some", "none"])
def test_the_last_parts_are_shown_with_and_without_an_archive(
    start: StartClient, archive: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    client = start(archive="none" if archive == "none" else str(tmp_path_factory.mktemp("archive")))
    ids = [
        post(client, encode(scratched_photo(seed=n)), f"serial=A{n}&camera=cam1&overlay=none")
        for n in range(3)
    ]
    page = page_of(client, ids[1])
    assert page.status_code == 200
    for other in (ids[0], ids[2]):
        assert f'href="/station/inspections/{other}"' in page.text
    assert pixels_of(client.get(f"/station/inspections/{ids[1]}/photo")).shape == (*PHOTO_SIZE, 3)
    assert pixels_of(client.get(f"/station/pictures/{ids[1]}")).shape == (*PHOTO_SIZE, 3)


def test_pictures_that_are_gone_are_said_to_be(start: StartClient) -> None:
    client = start(archive_photos="none")
    found = post(client, encode(scratched_photo()))
    client.app.state.station.feed.recent._pictures.clear()
    page = page_of(client, found)
    assert page.status_code == 200
    assert "The policy kept no photo" in page.text
    answer = client.get(f"/station/pictures/{found}")
    assert (answer.status_code, answer.json()["code"]) == (404, "photo_not_kept")


def test_a_camera_whose_photos_were_refused_has_an_alarm(start: StartClient) -> None:
    client = start(queue_size=1)
    found = post(client, encode(clean_photo()), "camera=cam1")
    post(client, encode(clean_photo()), "camera=cam2")
    assert client.app.state.station.alarms.status()["alarms"] == {"cam1": [], "cam2": []}
    with client.app.state.inspections.admit():
        refused = client.post("/inspect?camera=cam2", content=encode(clean_photo()), headers=JPEG)
        assert refused.json()["code"] == "queue_full"
        client.post("/inspect?camera=never_seen", content=encode(clean_photo()), headers=JPEG)
    client.app.state.station.alarms._asked = 0.0
    status = client.app.state.station.alarms.status()
    assert status["alarms"]["cam1"] == []
    assert [alarm["kind"] for alarm in status["alarms"]["cam2"]] == ["queue"]
    # A name that no photo has come with is not taken up.
    assert set(status["alarms"]) == {"cam1", "cam2", "other"}
    assert [entry.id for entry in client.app.state.station.feed.recent.entries][3] == found


@pytest.mark.parametrize("unknown", ["0" * 32, "0", "%00", "..%2f..%2fparts", "' or 1=1"])
def test_an_unknown_inspection_is_said_to_be_on_a_page(client: TestClient, unknown: str) -> None:
    answer = page_of(client, unknown)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "<h1>Not Found</h1>" in answer.text
    assert client.get(f"/station/inspections/{unknown}").json()["verdict"] == "invalid"


def test_a_photo_that_cannot_be_shown_is_said_to_be_on_a_page(start: StartClient, tmp_path: Path) -> None:
    before = start(archive=str(tmp_path / "archive"))
    found = post(before, encode(clean_photo()), "overlay=none")
    client = start(archive=str(tmp_path / "archive"), max_pixels=100)
    answer = client.get(f"/station/pictures/{found}", headers=HTML)
    assert (answer.status_code, answer.headers["x-glint-problem"]) == (413, "too_many_pixels")
    assert answer.headers["content-type"].startswith("text/html")
    assert "pixels" in answer.text


def test_an_error_is_drawn_away_from_the_event_loop(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = client.app.state.station.pages
    draw, threads = pages.render_error, []

    def note_and_draw(*given: object) -> Response:
        threads.append(threading.get_ident())
        return draw(*given)

    monkeypatch.setattr(pages, "render_error", note_and_draw)
    assert page_of(client, "0" * 32).status_code == 404
    assert client.get("/station/nowhere", headers=HTML).status_code == 404
    loop = client.portal.call(threading.get_ident)
    assert len(threads) == 2
    assert loop not in threads


def test_names_from_cameras_are_text_and_never_markup(client: TestClient) -> None:
    evil = "</script><script>alert(1)</script>"
    found = post(client, encode(scratched_photo()), f"serial={evil}&camera={evil}".replace("+", "%2b"))
    text = page_of(client, found).text
    assert "<script>alert" not in text
    assert html.escape(evil).replace("&#x27;", "&#39;") in text


def test_every_page_has_all_its_texts(client: TestClient) -> None:
    pages = client.app.state.station.pages
    for name in ("board", "inspection", "shell", "sign_in", "verdicts"):
        assert pages.texts[name], name
    for script in ("board.js", "hero.js", "lines.js", "inspection.js"):
        asset = pages.assets.find(script)
        assert asset is not None
        section = pages.texts["inspection" if script == "inspection.js" else "board"]
        for name in re.findall(r"(?:texts\.board|board|texts)\.([a-z_]+)\b", asset.data.decode()):
            assert name in section or name in ("board", "verdicts", "inspection"), (script, name)


@pytest.mark.parametrize("archived", [True, False])
def test_a_photo_outside_the_quality_gate_is_on_the_board_with_its_picture(
    start: StartClient, tmp_path: Path, archived: bool
) -> None:
    settings = {"archive": str(tmp_path) if archived else "none"}
    client = start(**settings)
    dark = encode(np.zeros((64, 64, 3), np.uint8))
    refused = client.post("/inspect?serial=A1", content=dark, headers={"content-type": "image/png"})
    assert refused.json()["code"] == "quality_gate"
    [entry] = client.app.state.station.feed.recent.entries
    assert (entry.kind, entry.code, entry.has_picture) == ("invalid", "quality_gate", True)
    assert pixels_of(client.get(f"/station/pictures/{entry.id}")).shape == (64, 64, 3)
    assert page_of(client, entry.id).status_code == 200
    if archived:
        [later] = start(**settings).app.state.station.sources.newest(5)
        assert (later.id, later.kind, later.code) == (entry.id, "invalid", "quality_gate")


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
