"""The station's pages as HTTP: what they show, and from where."""

import html
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from httpx import Response

from tests.service.conftest import StartClient
from tests.service.station_pages import HTML, data_of, page_of, pixels_of, post
from tests.tiny_bundle import (
    PHOTO_SIZE,
    clean_photo,
    encode,
    scratched_photo,
    unmeasurable_photo,
)

JPEG = {"content-type": "image/jpeg"}


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


def test_a_camera_whose_photos_were_refused_has_an_alarm(start: StartClient) -> None:
    client = start(queue_size=1)
    found = post(client, encode(clean_photo()), "camera=cam1")
    post(client, encode(clean_photo()), "camera=cam2")
    assert client.app.state.station.alarms.status()["alarms"] == {"cam1": [], "cam2": []}
    with client.app.state.inspections.places.take():
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
