"""Every answer tells browsers to run, frame, guess and keep nothing of it."""

from fastapi.testclient import TestClient

from service.http.headers import DOCS_POLICY
from tests.service.test_http_problems import GOOD, JPEG


def test_every_answer_tells_browsers_to_guess_frame_and_keep_nothing(client: TestClient) -> None:
    answers = [
        client.get("/parts"),
        client.get("/readyz"),
        client.get("/nowhere"),
        client.post("/inspect", content=b"", headers=JPEG),
        client.post("/inspect", content=GOOD, headers={**JPEG, "accept": "image/jpeg"}),
    ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert "server" not in answer.headers


def test_the_page_of_the_documentation_may_load_what_it_names_and_nothing_else(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.headers["content-security-policy"] == DOCS_POLICY
    assert page.headers["x-frame-options"] == "DENY"
    for origin in ("https://cdn.jsdelivr.net", "https://fastapi.tiangolo.com"):
        assert origin in page.text
        assert origin in DOCS_POLICY
