"""Limits tried by an admin: the result follows the slider, and nothing changes on the line."""

import json
from typing import TYPE_CHECKING

import pytest

from tests.station.conftest import DESKTOP, TABLET, OpenPage, Serve
from tests.station.posting import post
from tests.station.test_accessibility import violations
from tests.tiny_bundle import anomalous_photo, clean_photo, scratched_photo

if TYPE_CHECKING:
    from tests.service.live import Live

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect


TOO_SMALL = """
[...document.querySelectorAll('main a, main button, main input, main select')]
  .filter(each => each.checkVisibility() && each.getBoundingClientRect().height < 47.5)
  .map(each => each.outerHTML)
"""


def post_parts(live: "Live") -> str:
    """Six parts; the id of the one that only the anomaly rule rejects."""
    for index in range(4):
        post(live, clean_photo(seed=index), f"A{index}")
    post(live, scratched_photo(), "A5")
    return str(post(live, anomalous_photo(), "A6")["id"])


@pytest.mark.parametrize("viewport", [DESKTOP, TABLET], ids=["desktop", "tablet"])
def test_the_result_follows_the_fields(serve: Serve, open_page: OpenPage, viewport: dict[str, int]) -> None:
    live = serve()
    page = open_page(live, viewport=viewport)
    page.goto("/station/limits")
    expect(page.locator("#trial")).to_contain_text("gave none of the last parts a verdict")
    anomalous = post_parts(live)
    page.reload()
    expect(page.locator("#trial")).to_contain_text("nothing would change")
    assert violations(page) == []
    page.get_by_label("Anomaly limit now").fill("1000")
    expect(page.get_by_text("Rejected parts that would be clean: 1")).to_be_visible()
    expect(page.locator("pre")).to_contain_text("--anomaly-limit 1000.0 --classifier-limit 0.5")
    assert "anomaly=1000" in page.url
    assert violations(page) == []
    link = page.locator("#trial a", has_text="Anomalous")
    assert str(link.get_attribute("href")).endswith(anomalous)
    limits = json.loads(live.get("/parts")[1])[0]["limits"]
    assert limits["anomaly"] == 3.0, "nothing changes by trying"
    assert page.evaluate(TOO_SMALL) == []


def test_the_slider_by_keyboard(serve: Serve, open_page: OpenPage) -> None:
    live = serve()
    post_parts(live)
    page = open_page(live)
    page.goto("/station/limits")
    page.locator("[data-for=anomaly]").focus()
    page.keyboard.press("Home")
    assert float(page.get_by_label("Anomaly limit now").input_value()) == pytest.approx(1.2)
    expect(page.locator("pre")).to_contain_text("--anomaly-limit 1.2")


def test_without_javascript_the_button_does_it(serve: Serve, open_page: OpenPage) -> None:
    live = serve()
    post_parts(live)
    page = open_page(live, java_script_enabled=False)
    page.goto("/station/limits")
    page.get_by_label("Anomaly limit now").fill("1000")
    page.get_by_role("button", name="Try").click()
    expect(page.get_by_text("Rejected parts that would be clean: 1")).to_be_visible()
