"""Signing in at the station, in a real browser."""

import re
from pathlib import Path

import pytest

from service.access.commands import add_key, revoke_key
from tests.station.conftest import OpenPage, Serve

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_an_operator_signs_in_and_out(serve: Serve, open_page: OpenPage, keys: Path) -> None:
    key, _ = add_key(keys, "Ada", "operator")
    page = open_page(serve("--keys", str(keys), environment={"GLINT_OPEN_HEALTH": "true"}))
    page.goto("/")
    assert page.url.endswith("/station/sign-in")
    page.get_by_label("API key").fill("glint_wrong")
    page.get_by_role("button", name="Sign in").click()
    assert "not valid" in page.get_by_role("alert").inner_text()
    page.get_by_label("API key").fill(key)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/station/$"))
    assert "Ada" in page.locator(".who").inner_text()
    [cookie] = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile("/station/sign-in$"))
    page.context.add_cookies([cookie])
    page.goto("/station/")
    assert "/sign-in" in page.url


def test_a_session_ends_with_its_key(serve: Serve, open_page: OpenPage, keys: Path) -> None:
    key, key_id = add_key(keys, "Ada", "operator")
    page = open_page(serve("--keys", str(keys), environment={"GLINT_OPEN_HEALTH": "true"}))
    page.goto("/station/?camera=cam3")
    page.get_by_label("API key").fill(key)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/station/"))
    expect(page.locator("#link-state")).to_have_attribute("data-state", "live")
    revoke_key(keys, key_id)
    page.wait_for_url(re.compile("/sign-in"))
