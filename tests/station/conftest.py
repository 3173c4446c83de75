"""A real Chromium in front of a real service."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.service.live import Live, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Serve = Callable[..., Live]
OpenPage = Callable[..., "Page"]

DESKTOP = {"width": 1920, "height": 1080}
TABLET = {"width": 1280, "height": 800}
_POLICY = "Content Security Policy"
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """The system's Chromium; GLINT_CHROMIUM names another."""
    playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = os.environ.get("GLINT_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip("there is no Chromium: install the package chromium, or set GLINT_CHROMIUM")
    playwright_api.expect.set_options(timeout=30_000)
    with playwright_api.sync_playwright() as playwright:
        # Without a sandbox, since containers do not let root have one; the pages are our own.
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: "Browser") -> Iterator[OpenPage]:
    """Open a page as somebody new, without cookies.

    What its scripts raise fails the test, and so does what the page's own policy had to keep out.
    """
    with ExitStack() as stack:
        errors: list[str] = []

        def open_one(live: Live, **options: object) -> "Page":
            given = {"viewport": DESKTOP, "base_url": f"http://127.0.0.1:{live.port}", **options}
            context = browser.new_context(**given)
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(30_000)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda said: errors.append(said.text) if _POLICY in said.text else None)
            return page

        yield open_one
        assert errors == []


@pytest.fixture
def serve(tiny_bundles: Path, tmp_path: Path) -> Iterator[Serve]:
    """Run a service with the part `bracket` and an archive until the test ends."""
    with ExitStack() as stack:

        def serve_one(*options: str, **given: object) -> Live:
            return stack.enter_context(
                serving(tiny_bundles, *options, **{"archive": tmp_path / "archive", **given})
            )

        yield serve_one
