"""How the line ran and where defects lie, over HTTP and on the page of numbers."""

import csv
from pathlib import Path

import numpy as np
from fastapi.testclient import TestClient

from service.access.commands import add_key
from tests.service.conftest import StartClient
from tests.service.station_pages import HTML, pixels_of, post
from tests.tiny_bundle import anomalous_photo, clean_photo, encode, make_tiny_bundle, scratched_photo


def inspect_some(client: TestClient) -> None:
    for number, paint in enumerate((clean_photo, scratched_photo, clean_photo, anomalous_photo)):
        post(client, encode(paint(seed=number)), f"camera=cam{number % 2}")


def test_the_trend_as_json_and_as_tables(start: StartClient) -> None:
    client = start(shifts="06:00,18:00", time_zone="Europe/Berlin")
    inspect_some(client)
    found = client.get("/numbers/trend", params={"by": "shift", "camera": "cam1"}).json()
    assert (found["by"], found["time_zone"], found["shortened"]) == ("shift", "Europe/Berlin", False)
    assert sum(bucket["inspected"] for bucket in found["buckets"]) == 2
    assert sum(bucket["rejects"] for bucket in found["buckets"]) == 2
    assert found["groups"]["camera"] == [
        {"name": "cam1", "inspected": 2, "rejects": 2, "rate": 1.0, "invalid": 0}
    ]
    table = client.get("/numbers/trend.csv")
    assert table.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(table.text.splitlines()))
    assert sum(int(row["inspected"]) for row in rows) == 4
    assert rows[0]["begin"].endswith(("T00:00:00+01:00", "T00:00:00+02:00"))
    groups = list(csv.DictReader(client.get("/numbers/groups.csv").text.splitlines()))
    assert [row["name"] for row in groups if row["by"] == "camera"] == ["cam0", "cam1"]


def test_a_camera_that_calls_itself_a_formula_is_none_in_a_table(client: TestClient) -> None:
    post(client, encode(clean_photo()), "camera=%3D1%2B1")
    groups = list(csv.DictReader(client.get("/numbers/groups.csv").text.splitlines()))
    assert [row["name"] for row in groups if row["by"] == "camera"] == ["'=1+1"]


def test_the_places_of_one_part(client: TestClient) -> None:
    inspect_some(client)
    found = client.get("/numbers/places", params={"part": "bracket"}).json()
    cells = np.array(found["cells"])
    assert cells.shape == (found["rows"], found["columns"])
    assert (found["defects"], cells.max()) == (2, 1)
    rows = list(csv.DictReader(client.get("/numbers/places.csv?part=bracket").text.splitlines()))
    assert sum(int(row["defects"]) for row in rows) == cells.sum()
    assert client.get("/numbers/places").status_code == 422


def test_what_cannot_be_asked_is_named(client: TestClient, start: StartClient) -> None:
    for query in ("by=week", "shift=06:00:00", "from=yesterday", "colour=red"):
        answer = client.get(f"/numbers/trend?{query}")
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_field"), query
    unknown = client.get("/numbers/trend?shift=06:00")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_shift")
    assert "GLINT_SHIFTS" in unknown.json()["detail"]
    without = start(archive="none")
    for path in ("/numbers/trend", "/numbers/places?part=bracket"):
        assert without.get(path).json()["code"] == "archive_off"


def test_times_at_the_end_of_the_calendar_hold_nothing(client: TestClient) -> None:
    inspect_some(client)
    first, last = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"
    for asked, count in (
        ({"from": first, "to": last}, 4),
        ({"to": first}, 0),
        ({"from": last}, 0),
        ({"from": last, "to": first}, 0),
    ):
        for by in ("hour", "shift", "day"):
            found = client.get("/numbers/trend", params={**asked, "by": by}).json()
            assert sum(bucket["inspected"] for bucket in found["buckets"]) == count, (asked, by)
        places = client.get("/numbers/places", params={**asked, "part": "bracket"}).json()
        assert places["defects"] == count / 2


def test_only_operators_may_ask(start: StartClient, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    camera, _ = add_key(keys, "line", "camera")
    operator, _ = add_key(keys, "Ada", "operator")
    client = start(keys=keys, open_health=True)
    for path in (
        "/numbers/trend",
        "/numbers/trend.csv",
        "/numbers/groups.csv",
        "/numbers/places?part=bracket",
    ):
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"x-api-key": camera}).status_code == 403
        assert client.get(path, headers={"x-api-key": operator}).status_code == 200


def test_the_page_draws_what_was_asked_for(start: StartClient) -> None:
    client = start(shifts="06:00,18:00")
    empty = client.get("/station/numbers", headers=HTML).text
    assert "Nothing was inspected in this time" in empty
    assert "Choose a part" in empty
    inspect_some(client)
    page = client.get("/station/numbers?camera=cam1&days=7&by=hour&shift=09:99", headers=HTML).text
    assert '<option value="cam1" selected>' in page
    assert '<option value="hour" selected>' in page
    assert "camera=cam1" in page.split("/numbers/trend.csv?")[1][:80]
    assert 'data-address="/numbers/places?' in page
    assert "fewer than 8 points" in page
    refused = client.get("/station/numbers?camera=%00", headers=HTML)
    assert (refused.status_code, refused.headers["x-glint-problem"]) == (422, "bad_field")
    nobody = client.get("/station/numbers?camera=-", headers=HTML).text
    assert "camera=&" in nobody.split("/numbers/trend.csv?")[1][:80].replace("&amp;", "&")


def test_the_mean_part_of_the_map(start: StartClient, tmp_path: Path, client: TestClient) -> None:
    assert pixels_of(client.get("/station/numbers/mean?part=bracket")).shape == (64, 64, 3)
    assert client.get("/station/numbers/mean?part=cap").json()["code"] == "no_mean"
    make_tiny_bundle(tmp_path / "bundles", mean=False)
    older = start(bundles=tmp_path / "bundles")
    assert older.get("/station/numbers/mean?part=bracket").json()["code"] == "no_mean"


def test_judgements_are_counted_by_camera_and_version(client: TestClient) -> None:
    ids = [post(client, encode(scratched_photo(seed=n)), f"camera=cam{n}") for n in range(2)]
    for inspection_id, decision in zip(ids, ("accept", "overrule"), strict=True):
        order = {"decision": decision, "operator": "Anna"}
        assert client.post(f"/inspections/{inspection_id}/judgements", json=order).status_code == 201
    for query, expected in (
        ("camera=cam0", (0, 1)),
        ("camera=cam1", (1, 1)),
        ("camera=", (0, 0)),
        ("version=20260101-000000", (1, 2)),
        ("version=another", (0, 0)),
    ):
        share = client.get(f"/reviews/numbers?{query}").json()["false_rejects"]
        assert (share["count"], share["total"]) == expected, query
    post(client, encode(clean_photo()), "camera=cam0")
    assert client.get("/reviews/numbers?camera=cam0").json()["passed"] == 1
    assert client.get("/reviews/numbers?camera=cam1").json()["passed"] == 0
