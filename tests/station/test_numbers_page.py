"""The page of numbers in a real browser: its charts, its filters, and the map of where defects lie."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.service.live import Live
from tests.station.conftest import TABLET, OpenPage, Serve
from tests.station.history import add_history
from tests.station.posting import post
from tests.station.test_accessibility import violations
from tests.tiny_bundle import anomalous_photo, clean_photo, scratched_photo

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

PLANT = {"GLINT_SHIFTS": "06:00,14:00,22:00", "GLINT_TIME_ZONE": "Europe/Berlin"}
COLOUR_AT = """(canvas, [x, y]) => [...canvas.getContext("2d")
  .getImageData(Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data]"""


@pytest.fixture
def filled(serve: Serve, tmp_path: Path) -> Live:
    """A service on ten days of three shifts; in two of them there were more rejects."""
    first = serve()
    for photo, serial in ((clean_photo(), "A1"), (anomalous_photo(), "A2"), (scratched_photo(), "A3")):
        post(first, photo, serial)
    first.terminate()
    first.process.wait()
    add_history(tmp_path / "archive", each=60)
    return serve(environment=PLANT)


def open_numbers(live: Live, open_page: OpenPage, query: str = "", **options: object) -> "Page":
    page = open_page(live, **options)
    page.goto(f"/station/numbers{query}")
    return page


@pytest.mark.parametrize("viewport", [{"width": 1920, "height": 1080}, TABLET], ids=["desktop", "tablet"])
def test_charts_shares_and_the_map_are_readable(
    filled: Live, open_page: OpenPage, viewport: dict[str, int]
) -> None:
    page = open_numbers(filled, open_page, "?days=30&by=shift", viewport=viewport)
    expect(page.locator(".control")).to_have_count(3)
    expect(page.locator("#chart-rejects")).to_have_text("Share of rejects")
    beyond = page.locator(".chart", has=page.locator("#chart-rejects")).locator(
        ".signals [data-signal=beyond]"
    )
    assert 1 <= beyond.count() <= 4
    expect(beyond.first).to_contain_text("above the limit")
    expect(page.locator("#places-state")).to_have_text(re.compile(r"\d+ defects"))
    expect(page.locator("#spots")).to_be_visible()
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0, "nothing lies beside the page"
    assert violations(page) == []


def test_the_map_has_colour_where_defects_lie(filled: Live, open_page: OpenPage) -> None:
    page = open_numbers(filled, open_page)
    spots = page.locator("#spots")
    expect(spots).to_be_visible()
    assert page.locator("#mean").evaluate("image => image.naturalWidth") == 64
    on_scratch, on_spot, elsewhere = (
        spots.evaluate(COLOUR_AT, place) for place in ([0.3, 0.5], [0.72, 0.72], [0.9, 0.1])
    )
    assert on_scratch[3] > 40
    assert on_spot[3] > 40
    assert elsewhere[3] == 0
    spots.hover(position={"x": 5, "y": 5})
    expect(page.locator("#places-here")).to_contain_text("0 of")


def test_filters_by_keyboard(filled: Live, open_page: OpenPage) -> None:
    page = open_numbers(filled, open_page, "?days=30")
    page.locator("select[name=camera]").focus()
    page.keyboard.type("cam2")
    page.locator("select[name=shift]").focus()
    page.keyboard.type("14")
    page.get_by_role("button", name="Show").press("Enter")
    page.wait_for_url("**camera=cam2**")
    expect(page.locator("select[name=shift]")).to_have_value("14:00")
    rows = page.locator("section[aria-labelledby=by-camera] tbody th")
    expect(rows).to_have_text(["cam2"])
    expect(page.get_by_text("not counted by shift")).to_be_visible()


def test_the_tables_are_those_of_what_is_shown(filled: Live, open_page: OpenPage) -> None:
    page = open_numbers(filled, open_page, "?days=30&camera=cam1&by=day")
    with page.expect_download() as download:
        page.get_by_role("link", name="Shares as CSV").click()
    text = Path(download.value.path()).read_text()
    assert "camera,cam1," in text
    assert "cam2" not in text
