"""The page of one inspection in a real browser: layers, zoom and neighbours."""

import re
from typing import TYPE_CHECKING

import pytest

from tests.station.conftest import TABLET, OpenPage, Serve
from tests.station.posting import post
from tests.tiny_bundle import anomalous_photo, clean_photo, encode, scratched_photo

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

COLOURED = """canvas => {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let [count, x, y] = [0, 0, 0];
  for (let at = 3; at < data.length; at += 4) {
    if (!data[at]) continue;
    const pixel = (at - 3) / 4;
    count += 1;
    x += pixel % canvas.width;
    y += Math.floor(pixel / canvas.width);
  }
  return count ? [count, x / count / canvas.width, y / count / canvas.height] : [0, 0, 0];
}"""


SCALE = "new DOMMatrix(getComputedStyle(document.getElementById('stage')).transform).a"
BOX = "path => { const box = path.getBBox(); return [box.x, box.y, box.width, box.height]; }"


def open_inspection(serve: Serve, open_page: OpenPage, **options: object) -> "Page":
    live = serve()
    post(live, clean_photo(), "A1")
    found = post(live, anomalous_photo((300, 400)), "A2")
    post(live, scratched_photo(), "A3")
    page = open_page(live, **options)
    page.goto(f"/station/inspections/{found['id']}")
    expect(page.locator("#loading")).to_be_hidden()
    expect(page.locator("#heat")).to_be_visible()
    return page


def scale_of(page: "Page") -> float:
    return float(
        page.locator("#stage").evaluate("stage => new DOMMatrix(getComputedStyle(stage).transform).a")
    )


def test_the_heat_lies_where_the_defect_is(serve: Serve, open_page: OpenPage) -> None:
    page = open_inspection(serve, open_page)
    count, x, y = page.locator("#heat").evaluate(COLOURED)
    assert count > 100
    # The white spot of `anomalous_photo` has its middle there.
    assert (x, y) == (pytest.approx(0.725, abs=0.03), pytest.approx(0.725, abs=0.03))
    box = page.locator("#contour").evaluate(
        "path => { const b = path.getBBox(); return [b.x, b.y, b.width, b.height] }"
    )
    left, top, width, height = box
    assert left + width / 2 == pytest.approx(0.725 * 400, abs=10)
    assert top + height / 2 == pytest.approx(0.725 * 300, abs=10)


def test_layers_and_the_strength_of_the_heat_are_chosen(serve: Serve, open_page: OpenPage) -> None:
    page = open_inspection(serve, open_page)
    heat, contour, boxes = page.locator("#heat"), page.locator("#contour"), page.locator("#boxes")
    page.get_by_label("Heat").fill("20")
    assert heat.evaluate("each => each.style.opacity") == "0.2"
    for layer, seen in (("Contour", (False, True)), ("Photo", (False, False)), ("Overlay", (True, True))):
        page.get_by_label(layer, exact=True).check(force=True)
        assert (heat.is_visible(), contour.is_visible()) == seen, layer
        assert boxes.is_visible() == (layer != "Photo")
    page.get_by_label("Map", exact=True).check(force=True)
    expect(page.locator("#map")).to_be_visible()
    for following in ("Difference", "Overlay"):
        page.keyboard.press("l")
        expect(page.get_by_label(following, exact=True)).to_be_checked()


def test_zoom_and_pan_by_keyboard_wheel_and_button(serve: Serve, open_page: OpenPage) -> None:
    page = open_inspection(serve, open_page)
    fitted = scale_of(page)
    page.locator("#window").focus()
    page.keyboard.press("+")
    assert scale_of(page) == pytest.approx(1.25 * fitted)
    page.keyboard.press("1")
    assert scale_of(page) == pytest.approx(1.0)
    page.keyboard.press("0")
    assert scale_of(page) == pytest.approx(fitted)
    frame = page.locator("#window").bounding_box()
    assert frame
    x, y = frame["x"] + 0.5 * frame["width"], frame["y"] + 0.6 * frame["height"]
    page.mouse.move(x, y)
    before = page.locator("#pixel").inner_text()
    page.mouse.wheel(0, -600)
    page.wait_for_function(
        f"new DOMMatrix(getComputedStyle(document.getElementById('stage')).transform).a > {fitted}"
    )
    page.mouse.move(x + 1, y)
    # What is under the pointer stays there.
    numbers = [
        [float(n) for n in re.findall(r"[\d.]+", text)]
        for text in (before, page.locator("#pixel").inner_text())
    ]
    assert numbers[0][:2] == pytest.approx(numbers[1][:2], abs=2)
    page.get_by_role("button", name=re.compile("peak")).click()
    assert scale_of(page) > fitted
    assert "crisp" in (page.locator("#stage").get_attribute("class") or "")


def test_two_fingers_zoom(serve: Serve, open_page: OpenPage) -> None:
    page = open_inspection(serve, open_page, viewport=TABLET, has_touch=True)
    fitted = scale_of(page)
    frame = page.locator("#window").bounding_box()
    assert frame
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
    client = page.context.new_cdp_session(page)
    for kind, reach in (("touchStart", 20), ("touchMove", 40), ("touchMove", 60), ("touchEnd", None)):
        points = (
            [] if reach is None else [{"x": x - reach, "y": y, "id": 0}, {"x": x + reach, "y": y, "id": 1}]
        )
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert scale_of(page) == pytest.approx(3 * fitted, rel=0.05)


def test_neighbours_are_reached_by_key(serve: Serve, open_page: OpenPage) -> None:
    page = open_inspection(serve, open_page)
    page.keyboard.press("k")
    expect(page.locator(".headline-serial")).to_have_text("A3")
    page.keyboard.press("j")
    expect(page.locator(".headline-serial")).to_have_text("A2")
    page.keyboard.press("j")
    expect(page.locator(".headline-serial")).to_have_text("A1")


def test_times_are_in_the_browsers_zone(serve: Serve, open_page: OpenPage) -> None:
    page = open_inspection(serve, open_page, timezone_id="Asia/Tokyo", locale="en-GB")
    shown = page.locator(".table time")
    assert "+0900" in (shown.get_attribute("title") or "")
    assert "UTC" not in shown.inner_text()


def test_photos_that_browsers_cannot_show_are_shown(serve: Serve, open_page: OpenPage) -> None:
    live = serve()
    found = post(live, encode(scratched_photo((200, 320)), ".tif"), "A1")
    page = open_page(live)
    page.goto(f"/station/inspections/{found['id']}")
    expect(page.locator("#loading")).to_be_hidden()
    assert page.locator("#photo").evaluate("image => [image.naturalWidth, image.naturalHeight]") == [320, 200]


def test_the_difference_to_the_mean_part_is_one_of_the_layers(serve: Serve, open_page: OpenPage) -> None:
    page = open_inspection(serve, open_page)
    expect(page.locator("#difference")).to_be_hidden()
    page.locator("[name=layer][value=difference]").check()
    expect(page.locator("#difference")).to_be_visible()
    expect(page.locator("#difference-scale")).to_be_visible()
    expect(page.locator("#heat")).to_be_hidden()
    size = page.locator("#difference").evaluate("image => [image.naturalWidth, image.naturalHeight]")
    assert size == [64, 48], "the photo's own part of what the model sees"
    expect(page.locator("#loading")).to_be_hidden()
    page.keyboard.press("l")
    expect(page.locator("#difference")).to_be_hidden()
    expect(page.locator("#heat")).to_be_visible()


def test_a_part_without_overlay_can_be_compared_all_the_same(serve: Serve, open_page: OpenPage) -> None:
    live = serve()
    found = post(live, clean_photo(), "A1", overlay="none")
    page = open_page(live)
    page.goto(f"/station/inspections/{found['id']}")
    page.locator("[name=layer][value=difference]").check()
    expect(page.locator("#difference")).to_be_visible()
