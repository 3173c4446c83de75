"""Sign-in by form, as a browser does it."""

import re

from fastapi.testclient import TestClient
from httpx import Response

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SIGN_IN = "/station/sign-in"


def csrf_of(page: Response) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page.text) or re.search(
        r'data-csrf="([0-9a-f]{64})"', page.text
    )
    assert found, page.text
    return found[1]


def sign_in(client: TestClient, key: str, **fields: str) -> Response:
    token = csrf_of(client.get(SIGN_IN, headers=HTML))
    return client.post(SIGN_IN, data={"csrf": token, "key": key, **fields}, headers=HTML)
