"""The models page in a real browser, while cameras post: nothing that is pressed there costs a photo."""

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.access.commands import add_key
from service.promotion import promote
from tests.service.live import Live, serving
from tests.service.shadow_cases import NEW, OLD, two_bundles
from tests.station.conftest import TABLET, OpenPage
from tests.station.posting import post
from tests.station.test_accessibility import violations
from tests.tiny_bundle import anomalous_photo, clean_photo, encode, scratched_photo

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

PHOTOS = {
    "clean": encode(clean_photo(), ".jpg"),
    "anomalous": encode(anomalous_photo(), ".jpg"),
    "scratched": encode(scratched_photo(), ".jpg"),
}


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    bundles = two_bundles(tmp_path / "bundles")
    with serving(
        bundles, archive=tmp_path / "archive", environment={"GLINT_STATE": str(tmp_path / "state")}
    ) as live:
        yield live


@contextmanager
def cameras(live: Live, count: int = 2) -> Iterator[list[dict[str, object]]]:
    """Cameras that post all the time; the list fills with what they are answered."""
    answers: list[dict[str, object]] = []
    ending = threading.Event()

    def work(camera: str) -> None:
        for number, (shown, photo) in enumerate(itertools.cycle(PHOTOS.items())):
            if ending.wait(0.05):
                return
            answers.append({**post(live, photo, f"{camera}-{number}", camera), "shown": shown})

    threads = [threading.Thread(target=work, args=[f"cam{n}"]) for n in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        ending.set()
        for thread in threads:
            thread.join()


def press(page: "Page", button: str, confirm: str) -> None:
    page.get_by_role("button", name=button, exact=True).first.click()
    with page.expect_navigation():
        page.get_by_role("button", name=confirm, exact=True).click()
    page.wait_for_selector("body[data-ready]")


def test_a_candidate_is_tried_put_in_place_and_taken_back_while_cameras_post(
    live: Live, open_page: OpenPage
) -> None:
    page = open_page(live)
    with cameras(live) as answers:
        page.goto("/station/models")
        page.wait_for_selector("body[data-ready]")
        press(page, "Run in the shadow", "Yes, run it")
        # The page follows by itself.
        expect(page.locator(".flips .flip").first).to_contain_text("Clean → Anomalous")
        assert violations(page) == []
        page.get_by_role("button", name="Activate the candidate").click()
        said = page.locator("#confirm-changes")
        expect(said).to_contain_text(f"bracket is judged by {OLD}, no longer by {NEW}.")
        expect(said).to_contain_text("Anomaly limit: 100 → 3.")
        assert violations(page) == []
        with page.expect_navigation():
            page.get_by_role("button", name="Yes, activate").click()
        expect(page.locator(".serves")).to_have_attribute("data-active", OLD)
        expect(page.locator(".shadow")).to_have_count(0)
        press(page, f"Roll back to {NEW}", "Yes, activate")
        expect(page.locator(".serves")).to_have_attribute("data-active", NEW)
        expect(page.locator(".past li").first).to_contain_text(f"{NEW} in place of {OLD}")
        begun = len(answers)
        while len(answers) < begun + 6:
            page.wait_for_timeout(50)
    assert [each for each in answers if "bundle_version" not in each] == []
    for each in answers:
        lenient = each["bundle_version"] == NEW and each["shown"] == "anomalous"
        assert each["verdict"] == ("clean" if lenient else each["shown"])
    versions = [version for version, _ in itertools.groupby(str(each["bundle_version"]) for each in answers)]
    assert (versions[0], versions[-1], {*versions}) == (NEW, NEW, {OLD, NEW})


def test_nothing_is_changed_before_it_is_confirmed_and_a_refusal_is_said(
    live: Live, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(live, viewport=TABLET)
    page.goto("/station/models")
    page.wait_for_selector("body[data-ready]")
    button = page.get_by_role("button", name="Activate", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#confirm")).to_be_hidden()
    expect(button).to_be_focused()
    graph = tmp_path / "bundles" / "bracket" / OLD / "inspector.onnx"
    graph.write_bytes(graph.read_bytes() + b"\0")
    button.click()
    page.get_by_role("button", name="Yes, activate").click()
    expect(page.get_by_role("alert")).to_contain_text("its checksum is not the recorded one")
    assert violations(page) == []
    page.keyboard.press("Escape")
    assert json.loads(live.get("/parts")[1])[0]["version"] == NEW
    with page.expect_popup() as opened:
        page.get_by_role("link", name=f"Report of {NEW}").click()
    expect(opened.value.locator("body")).to_contain_text("A bundle for tests")


def test_a_page_that_somebody_else_has_overtaken_follows(
    live: Live, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(live)
    address = f"http://127.0.0.1:{live.port}"
    bundle = tmp_path / "bundles" / "bracket" / OLD
    promote(bundle, address, None, shadow=True)
    page.clock.install()
    page.goto("/station/models")
    page.wait_for_selector("body[data-ready]")
    expect(page.locator(".shadow")).to_have_count(1)
    page.get_by_role("button", name="Activate the candidate").click()
    promote(bundle, address, None, shadow=False)
    page.clock.run_for(6000)  # nothing moves under whoever is asked
    expect(page.locator("#confirm-changes")).to_contain_text(f"no longer by {NEW}")
    page.get_by_role("button", name="Cancel").click()
    page.clock.run_for(6000)
    expect(page.locator(".serves")).to_have_attribute("data-active", OLD)
    expect(page.locator(".shadow")).to_have_count(0)
    page.get_by_role("link", name="Try other limits").click()
    page.wait_for_url("**/station/limits?part=bracket")


def test_an_operator_is_not_led_there(tmp_path: Path, open_page: OpenPage) -> None:
    key, _ = add_key(tmp_path / "keys.json", "Ada", "operator")
    bundles = two_bundles(tmp_path / "bundles")
    environment = {"GLINT_OPEN_HEALTH": "true"}
    with serving(bundles, "--keys", str(tmp_path / "keys.json"), environment=environment) as live:
        page = open_page(live)
        page.goto("/station/numbers")
        page.get_by_label("API key").fill(key)
        page.keyboard.press("Enter")
        page.wait_for_url("**/station/numbers")
        expect(page.get_by_role("link", name="Board", exact=True)).to_be_visible()
        expect(page.get_by_role("link", name="Models")).to_have_count(0)
        page.goto("/station/models")
        assert "/station/sign-in" in page.url
