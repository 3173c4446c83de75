"""What browsers send by themselves: cookies, and forms that no other page can send."""

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from service.access.commands import add_key, revoke_key
from service.access.keys import Role
from service.access.ring import LOOK_AGAIN_SECONDS
from service.http.headers import STATION_POLICY
from tests.service.access.signing_in import HTML, SIGN_IN, csrf_of, sign_in
from tests.service.test_http_problems import problem_of


def test_what_changes_something_needs_the_form_token(browser: TestClient, keys: dict[Role, str]) -> None:
    page = browser.get(SIGN_IN, headers=HTML)
    for token in ("", "0" * 64, csrf_of(page)[:-1]):
        problem_of(browser.post(SIGN_IN, data={"csrf": token, "key": keys["operator"]}), 403, "forged")
    sign_in(browser, keys["operator"])
    # The token of the form before the sign-in is of no use after it.
    problem_of(browser.post("/station/sign-out", data={"csrf": csrf_of(page)}), 403, "forged")
    problem_of(browser.post("/station/sign-out"), 403, "forged")
    problem_of(browser.post("/inspect", content=b"x", headers={"content-type": "image/jpeg"}), 403, "forged")
    token = csrf_of(browser.get("/station/", headers=HTML))
    assert browser.post("/station/sign-out", headers={"x-csrf-token": token}).status_code == 303
    assert browser.get("/station/", headers=HTML).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
    ],
    ids=str,
)
def test_pages_of_other_sites_change_nothing_even_without_keys(
    client: TestClient, headers: dict[str, str]
) -> None:
    answer = client.post("/parts/bracket/activate", json={"version": "20260101-000000"}, headers=headers)
    problem_of(answer, 403, "forged")
    own = {"sec-fetch-site": "same-origin", "origin": "http://testserver"}
    answer = client.post("/parts/bracket/activate", json={"version": "20260101-000000"}, headers=own)
    assert answer.status_code == 200


def test_the_cookie_is_for_this_service_alone(browser: TestClient, keys: dict[Role, str]) -> None:
    token = csrf_of(browser.get(SIGN_IN, headers=HTML))
    for origin, secure in (("http://testserver", False), ("https://testserver", True)):
        data = {"csrf": token, "key": keys["operator"]}
        answer = browser.post(SIGN_IN, data=data, headers={**HTML, "origin": origin})
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert ("Secure" in cookie) == secure
        browser.cookies.clear()
        token = csrf_of(browser.get(SIGN_IN, headers=HTML))


def come_from_elsewhere(client: TestClient, path: str) -> Response:
    """Follow a link on another site: what is `SameSite=Strict` stays behind, what it sets is kept."""
    kept = [cookie for cookie in client.cookies.jar if "station" in cookie.name]
    for cookie in kept:
        client.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)
    page = client.get(path, headers={**HTML, "sec-fetch-site": "cross-site"}, follow_redirects=True)
    for cookie in kept:
        client.cookies.jar.set_cookie(cookie)
    return page


def test_a_link_on_another_site_ends_no_session(browser: TestClient, keys: dict[Role, str]) -> None:
    sign_in(browser, keys["operator"])
    asked = come_from_elsewhere(browser, "/station/review")
    assert asked.url.path == SIGN_IN
    assert not any("station" in name for name in asked.cookies)
    board = browser.get("/station/", headers=HTML)
    assert board.status_code == 200
    # Whoever fills that form in is let in as well, although there is a session.
    fields = {"csrf": csrf_of(asked), "key": keys["admin"]}
    assert browser.post(SIGN_IN, data=fields, headers=HTML).status_code == 303
    assert "admin" in browser.get("/station/", headers=HTML).text
    problem_of(browser.post("/station/sign-out", data={"csrf": csrf_of(asked)}), 403, "forged")
    problem_of(browser.post("/station/sign-out", data={"csrf": csrf_of(board)}), 403, "forged")


def test_signing_out_of_a_session_that_has_ended_leads_to_the_sign_in(
    browser: TestClient, file: Path
) -> None:
    key, key_id = add_key(file, "Ada", "operator")
    browser.app.state.keys._looked -= LOOK_AGAIN_SECONDS
    sign_in(browser, key)
    board = browser.get("/station/", headers=HTML)
    revoke_key(file, key_id)
    browser.app.state.keys._looked -= LOOK_AGAIN_SECONDS
    answer = browser.post("/station/sign-out", data={"csrf": csrf_of(board)}, headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, SIGN_IN)


def test_foreign_cookies_do_not_hide_the_session(browser: TestClient, keys: dict[Role, str]) -> None:
    sign_in(browser, keys["operator"])
    [session] = [f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar]
    browser.cookies.clear()
    for foreign in ("a[b]=1", 'prefs={"x": "y, z"}', "=;;", "straße=ß"):
        cookie = f"{foreign}; {session}".encode()
        assert browser.get("/inspections", headers=[(b"cookie", cookie)]).status_code == 200, foreign


def test_the_pages_say_what_browsers_may_do_with_them(client: TestClient) -> None:
    page = client.get("/station/", headers=HTML)
    assert page.headers["content-security-policy"] == STATION_POLICY
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "same-origin"
    assert "whoever reaches this service" in page.text
    for path in re.findall(r'(?:href|src)="(/station/static/[^"]+)"', page.text):
        asset = client.get(path)
        assert asset.status_code == 200
        assert "immutable" in asset.headers["cache-control"]
        name = path.rpartition("/")[2]
        assert client.get(f"/station/static/old/{name}").headers["cache-control"] == "no-store"
    assert client.get("/station/static/x/../../../pyproject.toml").status_code == 404
    assert client.get("/station/static/x/nothing.js").status_code == 404
