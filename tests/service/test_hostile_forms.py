"""Forms that are made to cost something, or to smuggle something in."""

import pytest
from fastapi.testclient import TestClient

from tests.service.test_http_problems import FORM, GOOD, IMAGE, part_of_form, problem_of


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"".join(part_of_form(f"f{n}", b"x") for n in range(2_000)) + b"--cut--\r\n", 400, "malformed_body"),
        (IMAGE.replace(b"content-d", b"x: " + b"y" * 10_000 + b"\r\ncontent-d"), 400, "malformed_body"),
        (IMAGE.replace(b"content-d", b"x: y\r\n" * 50 + b"content-d"), 400, "malformed_body"),
        (IMAGE.replace(b"content-d", b"x-d"), 400, "malformed_body"),
        (part_of_form("x" * 4_000, GOOD, "a.jpg") + b"--cut--\r\n", 422, "bad_field"),
    ],
    ids=[
        "many fields",
        "a long header in a part",
        "many headers in a part",
        "a part without a name",
        "a long name",
    ],
)
def test_a_form_that_is_out_of_bounds(client: TestClient, body: bytes, status: int, code: str) -> None:
    problem_of(client.post("/inspect", content=body, headers=FORM), status, code)


@pytest.mark.parametrize("charset", ["utf-16", "utf-7", "unicode_escape", "punycode", "zlib", "nonsense"])
def test_a_form_whose_fields_are_encoded_in_another_way(client: TestClient, charset: str) -> None:
    body = part_of_form("serial", rb"\ud800") + IMAGE + b"--cut--\r\n"
    headers = {"content-type": f"{FORM['content-type']}; charset={charset}"}
    problem_of(client.post("/inspect", content=body, headers=headers), 415, "unsupported_media_type")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "C:\\x.jpg", "a\0b", "x" * 3_000])
def test_the_name_of_an_uploaded_file_is_never_used(client: TestClient, name: str) -> None:
    response = client.post(
        "/inspect", content=part_of_form("image", GOOD, name) + b"--cut--\r\n", headers=FORM
    )
    assert (response.status_code, response.json()["verdict"]) == (200, "clean")
    assert "passwd" not in response.text
