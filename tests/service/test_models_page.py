"""`/station/models`: bundles side by side, what is active since when, and what a press would change."""

import html
import json
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from models.bundle import Bundle, write_manifest
from service.access.commands import add_key
from service.http.headers import REPORT_POLICY
from service.station.model_cards import SHOWN_BUNDLES
from tests.service.conftest import StartClient
from tests.service.shadow_cases import NEW, ODD, OLD, judge, shadow_of, two_bundles, wait_for
from tests.service.station_pages import HTML
from tests.tiny_bundle import make_tiny_bundle

PAGE = "/station/models"
METRICS = {
    "n_good": 120,
    "n_defective": 40,
    "n_good_groups": 60,
    "n_defective_groups": 40,
    "image_auroc": {"anomaly": 0.9871, "classifier": None, "combined": 0.9912},
    "pixel_auroc": 0.9634,
    "aupro": 0.8821,
    "false_reject_interval": {"rate": 0.0083, "low": 0.0002, "high": 0.0456},
    "escape_interval": {"rate": 0.05, "low": 0.0061, "high": 0.1692},
}


def rewrite(bundle: Path, **changes: object) -> None:
    """Give a bundle another manifest, as if it had been trained so."""
    manifest = Bundle.open(bundle).manifest
    (bundle / "manifest.json").unlink()
    write_manifest(bundle, manifest.model_copy(update={**changes, "checksum": None}))


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    folder = two_bundles(tmp_path / "bundles")
    rewrite(folder / "bracket" / OLD, metrics=METRICS)
    return folder


def page(client: TestClient) -> str:
    answer = client.get(PAGE, headers=HTML)
    assert answer.status_code == 200, answer.text
    return answer.text


def words(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text.partition("<dialog")[0])).split())


def changes(text: str) -> dict[str, dict[str, dict[str, list[str]]]]:
    found = re.search(r'id="changes">(.*?)</script>', text, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def test_bundles_stand_side_by_side_with_what_training_found(start: StartClient, bundles: Path) -> None:
    text = page(start(bundles=bundles))
    assert text.index(f">{NEW}") < text.index(f">{OLD}")
    said = words(text)
    for expected in (
        f"Serves {NEW} since",
        "0.991 anomaly 0.987 · classifier",
        "5.00 % 0.61 % to 16.9 % · 40 photos",
        "0.83 % 0.02 % to 4.56 % · 120 photos in 60 groups",
        "0.963",
        "anomaly 3 classifier 0.5",
        "anomaly 100 classifier 0.5",
        "not measured",
        "scratched",
        f"Service started with {NEW}",
    ):
        assert expected in said, expected


def test_it_is_said_what_an_activation_changes(start: StartClient, bundles: Path, tmp_path: Path) -> None:
    make_tiny_bundle(bundles, version="20251201-000000", classes=("clean", "dented"))
    client = start(bundles=bundles)
    [said] = changes(page(client)).values()
    assert said[OLD]["activate"] == [
        f"bracket is judged by {OLD}, no longer by {NEW}.",
        f"No photo is dropped: those accepted before are answered by {NEW}.",
        "Anomaly limit: 100 → 3.",
        "Until the next start, which takes the newest bundle: GLINT_STATE names no folder.",
    ]
    assert {"New defect classes: dented.", "Classes that are no longer named: scratched."} <= set(
        said["20251201-000000"]["activate"]
    )
    kept = start(bundles=bundles, state=tmp_path / "state")
    assert "GLINT_STATE" not in str(changes(page(kept)))


def test_a_roll_back_leads_to_what_served_before_while_it_is_there(start: StartClient, bundles: Path) -> None:
    client = start(bundles=bundles)
    assert "Roll back" not in words(page(client))
    client.post("/parts/bracket/activate", json={"version": OLD})
    assert f"Roll back to {NEW}" in words(page(client))
    assert f"{OLD} in place of {NEW} by somebody without a key" in words(page(client))
    (bundles / "bracket" / NEW).rename(bundles / "bracket" / f".{NEW}")
    assert "Roll back" not in words(page(client))


def test_what_the_candidate_showed_is_on_the_page(start: StartClient, bundles: Path) -> None:
    client = start(bundles=bundles)
    assert client.post("/parts/bracket/shadow", json={"version": OLD}).status_code == 200
    given = judge(client, ODD)["id"]
    wait_for(lambda: shadow_of(client)["comparison"]["judged"] == 1, "the candidate's verdict")
    text = page(client)
    assert f'href="/station/inspections/{given}"' in text
    assert "Clean → Anomalous" in words(text)
    assert f"Rejected by {NEW} 0.00 %" in words(text)
    assert "Rejected by the candidate 100.0 %" in words(text)
    assert "Its shadow run ends" in str(changes(text)["bracket"][OLD]["activate"])


def test_a_report_may_run_and_load_nothing(start: StartClient, bundles: Path) -> None:
    client = start(bundles=bundles)
    answer = client.get(f"{PAGE}/bracket/{OLD}/report", headers=HTML)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"] == REPORT_POLICY
    assert "script-src" not in REPORT_POLICY
    assert REPORT_POLICY.endswith("sandbox")
    assert answer.headers["x-frame-options"] == "DENY"
    assert "A bundle for tests" in answer.text


def test_a_report_that_was_altered_or_is_not_there_is_not_shown(start: StartClient, bundles: Path) -> None:
    client = start(bundles=bundles)
    (bundles / "bracket" / OLD / "report.html").write_text("<script>alert(1)</script>")
    answer = client.get(f"{PAGE}/bracket/{OLD}/report")
    assert (answer.status_code, "was altered" in answer.json()["detail"]) == (503, True)
    (bundles / "bracket" / OLD / "report.html").unlink()
    assert "cannot be read" in client.get(f"{PAGE}/bracket/{OLD}/report").json()["detail"]
    for path in (f"lid/{OLD}", "bracket/20250101-000000", "bracket/..%2f..%2fsecrets"):
        assert client.get(f"{PAGE}/{path}/report").status_code == 404


def test_a_bundle_that_cannot_be_opened_is_said_to_be(start: StartClient, bundles: Path) -> None:
    client = start(bundles=bundles)
    (bundles / "bracket" / OLD / "manifest.json").write_text("{")
    text = page(client)
    assert "It cannot be opened" in words(text)
    assert f'data-act="activate" data-version="{OLD}"' not in text
    assert client.get(f"{PAGE}/bracket/{OLD}/report").status_code == 503


def test_other_limits_can_be_tried_where_scores_are_recorded(start: StartClient, bundles: Path) -> None:
    client = start(bundles=bundles)
    assert 'href="/station/limits?part=bracket"' in page(client)
    assert client.get("/station/limits?part=bracket", headers=HTML).status_code == 200
    assert "/station/limits?part" not in page(start(bundles=bundles, archive="none"))


def test_old_bundles_are_left_out_unless_they_are_in_use(start: StartClient, bundles: Path) -> None:
    newer = [f"2026010{3 + number}-000000" for number in range(SHOWN_BUNDLES)]
    for version in newer:
        make_tiny_bundle(bundles, version=version)
    client = start(bundles=bundles)
    assert f"Not shown: {NEW}, {OLD}." in words(page(client))
    client.post("/parts/bracket/activate", json={"version": OLD})
    assert f"Not shown: {NEW}." in words(page(client))


def test_figures_of_another_glint_are_left_out(start: StartClient, bundles: Path) -> None:
    rewrite(bundles / "bracket" / OLD, metrics={"image_auroc": "good", "n_good": {}})
    assert words(page(start(bundles=bundles))).count("not measured") == 4


def test_the_page_is_for_admins(start: StartClient, bundles: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    keys = {role: add_key(file, role, role)[0] for role in ("operator", "admin")}
    client = start(bundles=bundles, keys=file, open_health=True)
    said = {role: {"authorization": f"Bearer {key}"} for role, key in keys.items()}
    for path in (PAGE, f"{PAGE}/bracket/{OLD}/report"):
        assert client.get(path, headers=said["operator"]).status_code == 403
        assert client.get(path, headers=said["admin"]).status_code == 200
    assert (
        client.post("/parts/bracket/shadow", json={"version": OLD}, headers=said["operator"]).status_code
        == 403
    )
    assert client.delete("/parts/bracket/shadow", headers=said["operator"]).status_code == 403
    assert client.get("/parts/bracket/history", headers=said["operator"]).status_code == 200
    board = {role: client.get("/station/", headers=said[role]).text for role in said}
    assert {role: f'href="{PAGE}"' in text for role, text in board.items()} == {
        "operator": False,
        "admin": True,
    }
