"""Reviewing parts in a real browser: by keyboard, by touch, with a mask, and two operators at a time."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from service.cli import app
from tests.service.live import Live
from tests.station.conftest import TABLET, OpenPage, Serve
from tests.station.posting import post
from tests.tiny_bundle import anomalous_photo, clean_photo, encode, scratched_photo
from training.data.layouts import read_dataset
from training.data.samples import read_mask

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SIZE = (480, 640)
PAINTS = {"clean": clean_photo, "scratched": scratched_photo, "anomalous": anomalous_photo}


def inspect(live: Live, kind: str, seed: int = 0) -> str:
    """Have a part inspected that shows `kind`; the inspection's id."""
    answer = post(live, encode(PAINTS[kind](SIZE, seed), ".png"), f"A{seed}")
    assert answer["verdict"] == kind
    return str(answer["id"])


def history(live: Live, inspection_id: str) -> list[tuple[str, str, str]]:
    past = json.loads(live.get(f"/inspections/{inspection_id}/judgements")[1])["judgements"]
    return [(each["operator"], each["decision"], each["label"]) for each in past]


def shows(page: "Page", inspection_id: str) -> None:
    page.wait_for_url(re.compile(f"/station/review/{inspection_id}"))
    page.wait_for_selector("body[data-ready]")


def start(page: "Page", name: str) -> None:
    page.goto("/station/review")
    page.wait_for_selector("body[data-ready]")
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Your name").blur()


def test_a_review_by_keyboard_alone(serve: Serve, open_page: OpenPage) -> None:
    live = serve()
    first, second = inspect(live, "scratched", 1), inspect(live, "anomalous", 2)
    page = open_page(live)
    page.goto("/station/")
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.textContent") != "Review":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    shows(page, first)
    page.keyboard.press("a")
    assert page.get_by_role("alert").inner_text() == "Enter your name first."
    page.keyboard.type("Anna")
    page.keyboard.press("Enter")
    page.keyboard.press("o")
    shows(page, second)
    assert history(live, first) == [("Anna", "overrule", "clean")]
    page.keyboard.press("u")
    shows(page, first)
    assert history(live, first)[1:] == [("Anna", "undo", None)]
    page.keyboard.press("n")
    page.keyboard.type("at the edge")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    shows(page, second)
    assert page.get_by_label("Your name").input_value() == "Anna"
    page.get_by_role("textbox", name="Another name").fill("dented")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    page.wait_for_url(re.compile("/station/review$"))
    assert "Nothing waits" in page.get_by_role("heading").inner_text()
    assert history(live, first)[-1] == ("Anna", "accept", "scratched")
    assert history(live, second) == [("Anna", "accept", "dented")]


def test_a_review_by_touch(serve: Serve, open_page: OpenPage) -> None:
    live = serve(environment={"GLINT_REVIEW_SAMPLE": "1"})
    first, second = inspect(live, "clean", 1), inspect(live, "scratched", 2)
    page = open_page(live, viewport=TABLET, has_touch=True)
    start(page, "Ben")
    page.locator(".chip", has_text="scratched").tap()
    page.get_by_role("button", name="Overrule").tap()
    shows(page, second)
    assert history(live, first) == [("Ben", "overrule", "scratched")]
    page.get_by_role("button", name="Later").tap()
    page.wait_for_url(re.compile("/station/review$"))
    page.get_by_role("button", name="Undo").tap()
    shows(page, first)
    page.get_by_role("button", name="Cannot tell").tap()
    page.wait_for_url(re.compile("/station/review$"))
    assert history(live, first)[1:] == [("Ben", "undo", None), ("Ben", "cannot_tell", None)]
    targets = page.evaluate(
        """[...document.querySelectorAll("button, select")].filter((each) => each.offsetParent)
           .map((each) => each.getBoundingClientRect()).map((box) => Math.min(box.width, box.height))"""
    )
    assert min(targets) >= 48


def drag(page: "Page", *points: tuple[float, float]) -> None:
    """Drag over the photo; points are shares of its width and height."""
    box = page.locator("#paper").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()


def test_a_mask_that_was_drawn_is_in_the_data_set(serve: Serve, open_page: OpenPage, tmp_path: Path) -> None:
    live = serve()
    boxed, brushed = inspect(live, "scratched", 1), inspect(live, "scratched", 2)
    page = open_page(live)
    start(page, "Anna")
    page.keyboard.press("x")
    drag(page, (0.25, 0.25), (0.5, 0.75))
    page.keyboard.press("a")
    shows(page, brushed)
    # Larger than its frame, the photo scrolls; what is drawn stays in the photo's pixels.
    page.keyboard.press("m")
    page.keyboard.press("b")
    drag(page, (0.2, 0.5), (0.4, 0.5))
    page.keyboard.press("+")
    page.keyboard.press("e")
    drag(page, (0.3, 0.4), (0.3, 0.6))
    assert "pixels marked" in page.locator("#marked").inner_text()
    page.keyboard.press("a")
    page.wait_for_url(re.compile("/station/review$"))

    done = CliRunner().invoke(
        app,
        [
            *("dataset", "from-archive", "--part", "bracket"),
            *("--archive", str(tmp_path / "archive"), str(tmp_path / "reviewed")),
        ],
    )
    assert done.exit_code == 0, done.output
    read = read_dataset(tmp_path / "reviewed", progress=False)
    masks = {sample.path.stem: read_mask(sample.mask, *SIZE) for sample in read.samples if sample.mask}
    rows, columns = np.nonzero(masks[boxed])
    found = (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1)
    assert found == pytest.approx((120, 360, 160, 320), abs=2)
    assert masks[boxed].sum() == (found[1] - found[0]) * (found[3] - found[2])
    middle = masks[brushed][240]
    assert middle[160]
    assert middle[230]
    assert not middle[192]
    assert not masks[brushed][:200].any()


def test_two_operators_get_different_parts_and_lose_nothing_on_the_same(
    serve: Serve, open_page: OpenPage
) -> None:
    live = serve()
    first, second = inspect(live, "scratched", 1), inspect(live, "anomalous", 2)
    anna, ben = open_page(live), open_page(live)
    start(anna, "Anna")
    shows(anna, first)
    start(ben, "Ben")
    shows(ben, second)
    ben.goto(f"/station/review/{first}")
    assert "Another operator is looking at this part" in ben.locator(".warn").inner_text()
    ben.wait_for_selector("body[data-ready]")
    anna.keyboard.press("a")
    anna.wait_for_url(lambda url: first not in url)
    ben.keyboard.press("n")
    ben.keyboard.type("only dust")
    ben.keyboard.press("Escape")
    ben.keyboard.press("o")
    dialog = ben.get_by_role("dialog")
    assert "Anna" in dialog.locator("#theirs").inner_text()
    assert "accepted, Scratched" in dialog.locator("#theirs").inner_text()
    assert dialog.locator("#yours").inner_text() == "Ben: overruled, good part. only dust"
    assert history(live, first) == [("Anna", "accept", "scratched")]
    dialog.get_by_role("button", name="Put mine in its place").click()
    ben.wait_for_url(lambda url: first not in url)
    assert history(live, first) == [("Anna", "accept", "scratched"), ("Ben", "overrule", "clean")]


def test_what_could_not_be_put_off_is_said(serve: Serve, open_page: OpenPage) -> None:
    live = serve()
    first = inspect(live, "scratched", 1)
    page = open_page(live)
    lease = f"**/reviews/{first}/lease"
    refused = {"code": "archive_unavailable", "detail": "The archive cannot be used now."}
    # Before the page is there: Chromium tells a page that is already open in its own time.
    page.route(lease, lambda route: route.fulfill(status=503, json=refused))
    start(page, "Anna")
    shows(page, first)
    page.keyboard.press("l")
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert alert.inner_text() == "Not saved: The archive cannot be used now."
    page.unroute(lease)
    page.keyboard.press("l")
    page.wait_for_url(lambda url: first not in url)
