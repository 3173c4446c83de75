"""axe-core finds nothing serious on the station's pages (WCAG 2.1 A and AA)."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.access.commands import add_key
from tests.station.conftest import TABLET, OpenPage, Serve
from tests.station.posting import post
from tests.tiny_bundle import anomalous_photo, clean_photo, scratched_photo

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}


def violations(page: "Page") -> list[str]:
    """What axe-core finds, serious or worse."""
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe-playwright-python is not installed")
    # By the debugger, since the page's own policy lets no foreign script in.
    page.evaluate(Path(axe.AXE_FILE_PATH).read_text())
    found = page.evaluate("rules => axe.run(rules)", RULES)
    assert found["passes"]
    return [
        f"{each['id']} ({each['impact']}): {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def test_the_sign_in(serve: Serve, open_page: OpenPage, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    add_key(keys, "Ada", "operator")
    page = open_page(serve("--keys", str(keys), environment={"GLINT_OPEN_HEALTH": "true"}))
    page.goto("/station/sign-in")
    page.get_by_label("API key").fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    assert violations(page) == []


@pytest.mark.parametrize("viewport", [{"width": 1920, "height": 1080}, TABLET], ids=["desktop", "tablet"])
def test_the_board_and_the_inspection(serve: Serve, open_page: OpenPage, viewport: dict[str, int]) -> None:
    live = serve()
    page = open_page(live, viewport=viewport)
    page.goto("/station/")
    expect(page.locator("#link-state")).to_have_attribute("data-state", "live")
    assert violations(page) == []
    post(live, clean_photo(), "A1")
    found = post(live, anomalous_photo(), "A2", "cam2")
    post(live, scratched_photo(), "A3", "cam2")
    post(live, b"\xff\xd8 no photo", "A4")
    expect(page.locator("#strip .verdict")).to_have_count(4)
    assert violations(page) == []
    page.goto(f"/station/inspections/{found['id']}")
    expect(page.locator("#heat")).to_be_visible()
    assert violations(page) == []
    page.goto("/station/nowhere")
    assert violations(page) == []


@pytest.mark.parametrize("viewport", [{"width": 1920, "height": 1080}, TABLET], ids=["desktop", "tablet"])
def test_the_review_and_the_numbers(serve: Serve, open_page: OpenPage, viewport: dict[str, int]) -> None:
    live = serve()
    page = open_page(live, viewport=viewport)
    page.goto("/station/review")
    assert violations(page) == []
    post(live, scratched_photo(), "A1")
    page.goto("/station/review")
    page.wait_for_selector("body[data-ready]")
    page.keyboard.press("m")
    assert violations(page) == []
    page.keyboard.press("m")
    page.get_by_role("button", name="Shortcuts").click()
    assert violations(page) == []
    page.get_by_role("button", name="Close").click()
    page.get_by_label("Your name").fill("Anna")
    page.keyboard.press("Enter")
    page.keyboard.press("a")
    page.wait_for_url("**/station/review")
    page.goto("/station/numbers")
    assert violations(page) == []
