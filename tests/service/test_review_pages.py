"""The pages of the review and its numbers, as the service renders them."""

import re
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.access.commands import add_key
from service.review.items import Wish
from tests.service.conftest import StartClient
from tests.service.test_http_reviews import inspect
from tests.tiny_bundle import encode

PAGE = {"accept": "text/html"}


def test_the_queue_leads_to_the_page_of_its_first_part(client: TestClient) -> None:
    first, second = inspect(client), inspect(client, "anomalous")
    page = client.get("/station/review", headers=PAGE)
    assert page.url.path == f"/station/review/{first}"
    assert f'data-id="{first}"' in page.text
    assert f"/station/inspections/{first}/photo" in page.text
    assert 'role="status">Another operator' not in page.text
    assert client.get("/station/review", headers=PAGE).url.path == f"/station/review/{first}"
    client.cookies.clear()
    assert client.get("/station/review", headers=PAGE).url.path == f"/station/review/{second}"
    assert 'role="status">Another operator' in client.get(f"/station/review/{first}", headers=PAGE).text


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_take_nothing_out_of_the_queue(client: TestClient, site: str) -> None:
    first = inspect(client)
    elsewhere = {**PAGE, "sec-fetch-site": site}
    page = client.get("/station/review", headers=elsewhere)
    assert page.url.path == f"/station/review/{first}"
    assert 'role="status">Another operator' not in page.text
    assert [item.held for item in client.app.state.desk.waiting(Wish(), 9)] == [False]
    own = {**PAGE, "sec-fetch-site": "same-origin"}
    assert client.get("/station/review", headers=own).url.path == f"/station/review/{first}"
    assert [item.held for item in client.app.state.desk.waiting(Wish(), 9)] == [True]
    assert client.get("/station/review", headers=elsewhere).url.path == "/station/review"


def test_what_is_wanted_of_the_queue_stays_wanted(client: TestClient) -> None:
    inspect(client)
    doubtful = inspect(client, "anomalous")
    page = client.get("/station/review?order=newest&part=bracket&reason=defect", headers=PAGE)
    assert page.url.path == f"/station/review/{doubtful}"
    assert page.url.query == b"order=newest&part=bracket&reason=defect"
    assert 'data-query="?order=newest&amp;part=bracket&amp;reason=defect"' in page.text
    assert "Nothing waits" in client.get("/station/review?part=cap&order=sideways", headers=PAGE).text


def test_a_part_that_was_judged_shows_who_said_what(client: TestClient) -> None:
    known = inspect(client, "anomalous")
    order = {"decision": "accept", "operator": "Anna <b>", "label": "dented", "note": "<script>"}
    made = client.post(f"/inspections/{known}/judgements", json=order).json()
    page = client.get(f"/station/review/{known}", headers=PAGE).text
    assert f'data-latest="{made["id"]}"' in page
    assert "Anna &lt;b&gt;" in page
    assert "&lt;script&gt;" in page
    other = client.get(f"/station/review/{inspect(client, seed=7)}", headers=PAGE).text
    assert re.findall(r'name="label" value="([^"]*)"', other) == ["scratched", "dented", "anomalous", ""]


def test_a_photo_without_a_verdict_has_no_buttons(client: TestClient) -> None:
    black = encode(np.zeros((160, 160, 3), dtype=np.uint8))
    answer = client.post("/inspect", content=black, headers={"content-type": "image/png"})
    assert answer.json()["code"] == "quality_gate"
    page = client.get(f"/station/review/{answer.json()['id']}", headers=PAGE).text
    assert "data-decision" not in page
    assert "no verdict to accept or overrule" in page
    order = {"decision": "accept", "operator": "Anna"}
    refused = client.post(f"/inspections/{answer.json()['id']}/judgements", json=order)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_judgeable")


def test_a_part_that_is_not_there_has_no_page(client: TestClient) -> None:
    assert 'data-decision="accept"' in client.get(f"/station/review/{inspect(client)}", headers=PAGE).text
    for unknown in ("0" * 32, "x"):
        missing = client.get(f"/station/review/{unknown}", headers=PAGE)
        assert missing.status_code == 404
        assert "No inspection has the id" in missing.text


def test_the_numbers_by_part_and_time(client: TestClient) -> None:
    assert "nothing judged yet" in client.get("/station/numbers", headers=PAGE).text
    for operator, decision in (("Anna", "overrule"), ("Anna", "accept")):
        known = inspect(client, "scratched")
        client.post(f"/inspections/{known}/judgements", json={"decision": decision, "operator": operator})
    page = client.get("/station/numbers?part=bracket&days=7", headers=PAGE).text
    assert "50.0 %" in page
    assert "1 of 2" in page
    assert "/reviews/numbers.csv?part=bracket&amp;from=" in page
    assert "No defect was judged yet" in client.get("/station/numbers?part=cap", headers=PAGE).text


def test_only_operators_see_them_and_an_archive_is_needed(start: StartClient, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    camera, _ = add_key(keys, "line", "camera")
    client = start(keys=keys, open_health=True)
    for path in ("/station/review", "/station/numbers"):
        assert client.get(path, headers={"x-api-key": camera}).status_code == 403
        asked = client.get(path, headers=PAGE, follow_redirects=False)
        assert "/station/sign-in" in asked.headers["location"]
    without = start(archive="none")
    page = without.get("/station/review", headers=PAGE)
    assert page.status_code == 404
    assert "keeps no archive" in page.text
