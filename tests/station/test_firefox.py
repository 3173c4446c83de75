"""The station in a real Firefox: each page draws, moves and can be worked by keyboard, without an error."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.access.commands import add_key
from tests.service.live import Live
from tests.station.conftest import Serve
from tests.station.firefox import Firefox, find_firefox, running_firefox
from tests.station.posting import post
from tests.tiny_bundle import anomalous_photo, clean_photo, scratched_photo

pytestmark = pytest.mark.browser

SIZES = ((1920, 1080), (1280, 800))
ENTER = "\ue007"
TOO_WIDE = "document.documentElement.scrollWidth > innerWidth"
HEAT = """(() => {
  const canvas = document.getElementById("heat");
  if (!canvas || !document.getElementById("loading").hidden || !canvas.width) return 0;
  return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.filter(Boolean).length;
})()"""


@pytest.fixture(scope="module")
def program() -> str:
    found = find_firefox()
    if found is None:
        pytest.skip("there is no Firefox: install the package firefox-esr, or set GLINT_FIREFOX")
    return found


@pytest.fixture(scope="module")
def window(program: str) -> Iterator[Firefox]:
    with running_firefox(program) as firefox:
        yield firefox


@pytest.fixture
def firefox(window: Firefox) -> Iterator[Firefox]:
    """The window; the test fails for whatever a script raised or the pages' policy kept out."""
    yield window
    window.open("about:blank")
    assert window.errors("http://127.0.0.1") == []


def address(live: Live, path: str = "/") -> str:
    return f"http://127.0.0.1:{live.port}{path}"


def test_the_board_shows_each_part_as_it_is_inspected(serve: Serve, firefox: Firefox) -> None:
    live = serve()
    firefox.open(address(live))
    firefox.wait_for("document.getElementById('link-state').dataset.state == 'live'")
    for number, photo in enumerate((clean_photo(), scratched_photo(), anomalous_photo())):
        post(live, photo, f"A{number}", f"cam{number}")
        firefox.wait_for("document.getElementById('hero-serial').textContent == arguments[0]", f"A{number}")
    assert firefox.run("return document.getElementById('hero-verdict').dataset.kind") == "defect"
    firefox.wait_for("document.getElementById('hero-picture').naturalWidth")
    assert firefox.run("return document.querySelectorAll('#strip .verdict').length") == 3
    fits(firefox)


def test_the_page_of_an_inspection_draws_the_map_of_the_defect(serve: Serve, firefox: Firefox) -> None:
    live = serve()
    found = post(live, anomalous_photo((300, 400)), "A1")
    firefox.open(address(live, f"/station/inspections/{found['id']}"))
    assert firefox.wait_for(HEAT) > 100
    scale = "new DOMMatrix(getComputedStyle(document.getElementById('stage')).transform).a"
    before = firefox.run(f"return {scale}")
    firefox.run("document.getElementById('window').focus()")
    firefox.press("+", "+")
    firefox.wait_for(f"{scale} > arguments[0]", before)
    fits(firefox)


def test_a_part_is_judged_by_keyboard(serve: Serve, firefox: Firefox) -> None:
    live = serve()
    found = post(live, scratched_photo((480, 640)), "A1")
    firefox.open(address(live, "/station/review"))
    firefox.wait_for("'ready' in document.body.dataset")
    fits(firefox)
    firefox.run("document.querySelector('#operator').focus()")
    firefox.press(*"Anna", ENTER, "o")
    firefox.wait_for("location.pathname == '/station/review'")
    said = json.loads(live.get(f"/inspections/{found['id']}/judgements")[1])["judgements"]
    assert [(each["operator"], each["decision"]) for each in said] == [("Anna", "overrule")]
    firefox.open(address(live, "/station/numbers"))
    assert firefox.run("return document.querySelector('main h1').textContent")
    fits(firefox)


def test_an_operator_signs_in(serve: Serve, firefox: Firefox, tmp_path: Path) -> None:
    key, _ = add_key(tmp_path / "keys.json", "Ada", "operator")
    live = serve("--keys", str(tmp_path / "keys.json"), environment={"GLINT_OPEN_HEALTH": "true"})
    firefox.open(address(live))
    assert firefox.run("return location.pathname") == "/station/sign-in"
    fits(firefox)
    firefox.run("document.querySelector('input[type=password]').focus()")
    firefox.press(*key, ENTER)
    firefox.wait_for("location.pathname == '/station/'")
    firefox.wait_for("document.getElementById('link-state').dataset.state == 'live'")
    assert "Ada" in firefox.run("return document.querySelector('.who').textContent")


def fits(firefox: Firefox) -> None:
    """The page is no wider than the screens that it is made for."""
    for size in SIZES:
        firefox.resize(*size)
        assert not firefox.run(f"return {TOO_WIDE}"), size
