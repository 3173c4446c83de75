"""The live board in a real browser, while photos are posted."""

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.access.commands import add_key, revoke_key
from tests.service.live import SECONDS, Live, free_port, serving
from tests.station.conftest import TABLET, OpenPage, Serve
from tests.station.posting import post
from tests.tiny_bundle import anomalous_photo, clean_photo, scratched_photo

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect


def first_snapshot(live: Live) -> str:
    """The line of data with which a board begins."""
    connection = live.connect()
    try:
        connection.request("GET", "/station/events")
        response = connection.getresponse()
        while (line := response.readline()) != b"event: snapshot\n":
            assert line, "the stream ended"
        return response.readline().decode()
    finally:
        connection.close()


def wait_until_live(page: "Page") -> None:
    expect(page.locator("#link-state")).to_have_attribute("data-state", "live")


def test_the_board_shows_each_part_as_it_is_inspected(serve: Serve, open_page: OpenPage) -> None:
    live = serve()
    page = open_page(live)
    page.goto("/")
    wait_until_live(page)
    verdict, serial = page.locator("#hero-verdict"), page.locator("#hero-serial")
    expect(verdict).to_have_text("Waiting for the first part")
    post(live, clean_photo(), "A1")
    expect(verdict).to_have_attribute("data-kind", "clean")
    expect(serial).to_have_text("A1")
    post(live, scratched_photo(), "A2", "cam2")
    expect(verdict).to_have_text("Scratched")
    expect(serial).to_have_text("A2")
    picture = page.locator("#hero-picture")
    assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
    post(live, anomalous_photo(), "A3", "cam2")
    expect(serial).to_have_text("A3")
    expect(page.locator(".camera-name")).to_have_text(["cam1", "cam2"])
    expect(page.locator(".camera-rate")).to_have_text(["0 of 1 rejected", "2 of 2 rejected"])
    expect(page.locator(".reject-serial")).to_have_text(["A3", "A2"])
    expect(page.locator("#strip .verdict")).to_have_count(3)
    page.locator(".reject").first.click()
    page.wait_for_url(re.compile("/station/inspections/"))


def test_a_reject_is_not_lost_among_parts_that_come_fast(serve: Serve, open_page: OpenPage) -> None:
    live = serve()
    page = open_page(live)
    page.goto("/station/")
    wait_until_live(page)
    for number in range(12):
        post(live, scratched_photo() if number == 5 else clean_photo(), f"A{number}")
    serial = page.locator("#hero-serial")
    expect(serial).to_have_text("A5")
    expect(serial).to_have_text("A11")
    expect(page.locator("#strip .verdict")).to_have_count(12)
    expect(page.locator(".reject-serial")).to_have_text(["A5"])


def test_what_was_not_inspected_is_never_shown_as_clean(serve: Serve, open_page: OpenPage) -> None:
    live = serve()
    page = open_page(live)
    page.goto("/station/")
    wait_until_live(page)
    post(live, clean_photo(), "A1")
    expect(page.locator("#hero-serial")).to_have_text("A1")
    post(live, b"\xff\xd8 no photo", "A2")
    expect(page.locator("#hero-verdict")).to_have_text("Not inspected")
    expect(page.locator("#hero-verdict")).to_have_attribute("data-kind", "invalid")
    expect(page.locator("#hero-serial")).to_have_text("A2")
    assert page.locator("#hero-note").inner_text()
    expect(page.locator(".camera-rate")).to_have_text("0 of 1 rejected, 1 not inspected")


def test_no_cameras_clean_part_stands_for_another_choice(serve: Serve, open_page: OpenPage) -> None:
    live = serve()
    page = open_page(live)
    page.goto("/station/")
    wait_until_live(page)
    verdict, serial = page.locator("#hero-verdict"), page.locator("#hero-serial")
    post(live, clean_photo(), "A1", "cam1")
    expect(verdict).to_have_text("Clean")
    page.keyboard.press("r")
    expect(verdict).to_have_text("Waiting for the next part")
    expect(verdict).to_have_attribute("data-kind", "none")
    expect(serial).to_be_hidden()
    page.keyboard.press("r")
    expect(serial).to_have_text("A1")
    page.keyboard.press("1")
    # Nobody can tell which camera this was, so it may have been this one.
    connection = live.connect()
    connection.request("POST", "/inspect", body=b"", headers={"content-length": "0"})
    assert connection.getresponse().status >= 400
    connection.close()
    expect(verdict).to_have_text("Not inspected")
    expect(page.locator("#strip .verdict")).to_have_count(2)


def test_a_camera_beyond_the_last_parts_waits_and_a_late_picture_changes_nothing(
    serve: Serve, open_page: OpenPage
) -> None:
    live = serve()
    page = open_page(live)
    post(live, clean_photo(), "B1", "cam2")
    for number in range(60):  # as many as a snapshot holds
        post(live, clean_photo(), f"A{number}", "cam1")
    page.goto("/station/")
    verdict, serial = page.locator("#hero-verdict"), page.locator("#hero-serial")
    expect(serial).to_have_text("A59")
    asked = []
    page.route("**/station/pictures/*", lambda route: asked.append(route))
    post(live, scratched_photo(), "A60", "cam1")
    expect(page.locator(".reject-serial")).to_have_text("A60")
    page.wait_for_timeout(100)
    page.keyboard.press("2")
    expect(verdict).to_have_text("Waiting for the next part")
    for route in asked:
        route.continue_()
    page.wait_for_timeout(800)
    expect(verdict).to_have_text("Waiting for the next part")
    expect(page.locator("#strip .verdict")).to_have_count(0)


def test_a_verdict_that_was_taken_back_is_drawn_anew(serve: Serve, open_page: OpenPage) -> None:
    live = serve()
    page = open_page(live)
    post(live, scratched_photo(), "A1")
    snapshots: list[str] = []

    def answer(route: "Route") -> None:
        if not snapshots:
            snapshots.append(first_snapshot(live))
        else:
            snapshots.append(re.sub('"(scratched|defect)"', '"invalid"', snapshots[0]))
        body = f"retry: 100\n\nevent: snapshot\n{snapshots[-1]}\n"
        route.fulfill(status=200, content_type="text/event-stream", body=body)

    page.route("**/station/events", answer)
    page.goto("/station/")
    for mark in ("#strip .verdict", ".reject > .verdict"):
        expect(page.locator(mark)).to_have_attribute("data-kind", "invalid")
    expect(page.locator(".reject > .verdict")).to_have_text("Not inspected")


def test_a_camera_whose_key_is_refused_is_told_without_its_key(
    serve: Serve, open_page: OpenPage, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.json"
    operators, _ = add_key(keys, "Ada", "operator")
    cameras, camera_id = add_key(keys, "cam1", "camera")
    live = serve("--keys", str(keys), environment={"GLINT_OPEN_HEALTH": "true"})
    page = open_page(live)
    page.goto("/station/")
    page.get_by_label("API key").fill(operators)
    page.keyboard.press("Enter")
    wait_until_live(page)
    post(live, clean_photo(), "A1", key=cameras)
    expect(page.locator("#hero-serial")).to_have_text("A1")
    expect(page.locator("#keys-refused")).to_be_hidden()
    revoke_key(keys, camera_id)
    deadline = time.monotonic() + SECONDS
    while post(live, clean_photo(), "A2", key=cameras).get("code") != "unauthorized":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    expect(page.locator("#keys-refused")).to_contain_text("Photos are refused")
    assert cameras not in page.content()


def test_the_service_is_restarted_under_the_board(
    tiny_bundles: Path, tmp_path: Path, open_page: OpenPage
) -> None:
    port = free_port()
    with serving(tiny_bundles, archive=tmp_path, port=port) as live:
        page = open_page(live)
        page.goto("/station/")
        wait_until_live(page)
        post(live, clean_photo(), "A1")
        expect(page.locator("#hero-serial")).to_have_text("A1")
        live.terminate()
        # An open board does not keep it for the 20 s that it gives to requests.
        assert live.process.wait(15.0) == 0
        expect(page.locator("#stale")).to_be_visible()
        expect(page.locator("#stale")).to_contain_text("What is shown is old")
        expect(page.locator("#link-state")).to_have_text("Not live")
        expect(page.locator("#hero-verdict")).to_have_text("Not live")
    with serving(tiny_bundles, archive=tmp_path, port=port) as live:
        wait_until_live(page)
        expect(page.locator("#stale")).to_be_hidden()
        expect(page.locator("#hero-verdict")).to_have_text("Clean")
        expect(page.locator("#hero-serial")).to_have_text("A1")
        post(live, scratched_photo(), "A2")
        expect(page.locator("#hero-serial")).to_have_text("A2")
        expect(page.locator(".camera-rate")).to_have_text("1 of 2 rejected")


def test_the_board_is_worked_by_keyboard_alone(serve: Serve, open_page: OpenPage) -> None:
    live = serve()
    page = open_page(live)
    for number, camera in enumerate(("cam1", "cam2")):
        post(live, clean_photo(), f"A{number}", camera)
    page.goto("/station/")
    serial = page.locator("#hero-serial")
    expect(serial).to_have_text("A1")
    page.keyboard.press("1")
    expect(serial).to_have_text("A0")
    expect(page.locator(".camera").first).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("0")
    expect(serial).to_have_text("A1")
    page.keyboard.press("p")
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "true")
    post(live, scratched_photo(), "A2")
    expect(page.locator(".reject-serial")).to_have_text("A2")
    expect(serial).to_have_text("A1")
    page.keyboard.press("p")
    expect(serial).to_have_text("A2")
    page.keyboard.press("o")
    page.wait_for_url(re.compile("/station/inspections/"))
    page.go_back()
    expect(serial).to_have_text("A2")
    page.locator("#keys-open").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('dialog') !== null")
    page.locator("#keys-on").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "false")


def test_a_part_that_cannot_be_inspected_is_said_on_the_board(
    tiny_bundles: Path, tmp_path: Path, open_page: OpenPage
) -> None:
    keys = tmp_path / "archive"
    keys.write_text("a file where the archive's folder should be")
    with serving(tiny_bundles, archive=keys / "below", ready=False) as live:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                if live.get("/healthz")[0] == 200:
                    break
            except OSError:
                time.sleep(0.05)
        page = open_page(live)
        page.goto("/station/")
        expect(page.locator("#not-ready")).to_contain_text("The archive cannot be used")


@pytest.mark.parametrize("viewport", [{"width": 1920, "height": 1080}, TABLET], ids=["desktop", "tablet"])
def test_nothing_is_cut_off_and_everything_can_be_hit_in_gloves(
    serve: Serve, open_page: OpenPage, viewport: dict[str, int]
) -> None:
    live = serve()
    answer = post(live, scratched_photo(), "A" * 100, "a camera with quite a long name")
    page = open_page(live, viewport=viewport, has_touch=True)
    for path in ("/station/", f"/station/inspections/{answer['id']}"):
        page.goto(path)
        page.wait_for_load_state("networkidle" if "inspections" in path else "load")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        small = page.evaluate(
            """() => [...document.querySelectorAll("button, a, input, select, summary")]
              .filter((each) => each.offsetParent && !each.closest("dialog"))
              .map((each) => [each.outerHTML.slice(0, 80), each.getBoundingClientRect()])
              .filter(([_, box]) => Math.min(box.width, box.height) < 48)
              .map(([text, box]) => `${text} ${box.width}x${box.height}`)"""
        )
        assert small == []
