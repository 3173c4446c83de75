"""Limits tried on recorded scores: what the last parts would have been."""

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.access.commands import add_key
from service.archive.scored import RecentScores, Scored
from service.review.trial import Tried, try_limits
from tests.service.conftest import StartClient
from tests.service.test_http_reviews import inspect
from tests.tiny_bundle import ANOMALY_LIMIT, make_tiny_bundle

PAGE = {"accept": "text/html"}
PATH = "/parts/bracket/limits/trial"


def judge(client: TestClient, inspection_id: str, decision: str, label: str | None = None) -> None:
    order = {"decision": decision, "operator": "Anna", "label": label}
    made = client.post(f"/inspections/{inspection_id}/judgements", json=order)
    assert made.status_code == 201, made.text


@pytest.fixture
def recorded(client: TestClient) -> dict[str, list[str]]:
    """Six clean parts, three scratched and two anomalous ones, by kind; an operator judged some."""
    kinds = {"clean": 6, "scratched": 3, "anomalous": 2}
    ids = {kind: [inspect(client, kind, seed) for seed in range(n)] for kind, n in kinds.items()}
    judge(client, ids["scratched"][0], "accept")
    judge(client, ids["anomalous"][0], "accept", "dented")
    judge(client, ids["anomalous"][1], "overrule")
    judge(client, ids["clean"][0], "accept")
    return ids


def test_with_the_limits_of_the_bundle_nothing_turns(
    client: TestClient, recorded: dict[str, list[str]]
) -> None:
    found = client.get(PATH).json()
    assert (found["parts"], found["invalid"], found["other_versions"]) == (11, 0, {})
    assert found["then"] == found["tried"]
    assert found["then"]["limits"] == {"anomaly": ANOMALY_LIMIT, "classifier": 0.5}
    assert (found["then"]["rejected"]["count"], found["then"]["rejected"]["total"]) == (5, 11)
    assert (found["n_to_defect"], found["n_to_clean"]) == (0, 0)


def test_a_higher_limit_passes_what_only_its_rule_rejected(
    client: TestClient, recorded: dict[str, list[str]]
) -> None:
    found = client.get(PATH, params={"anomaly": 1000.0}).json()
    assert found["tried"]["rejected"]["count"] == 3, "the classifier still rejects the scratched ones"
    assert found["to_clean"] == recorded["anomalous"][::-1], "the newest first"
    assert found["to_defect"] == []
    then, tried = found["then"]["judged"], found["tried"]["judged"]
    assert (then["false_rejects"]["count"], then["false_rejects"]["total"]) == (1, 2)
    assert (tried["false_rejects"]["count"], tried["false_rejects"]["total"]) == (0, 2)
    assert (then["escapes"]["count"], tried["escapes"]["count"], tried["escapes"]["total"]) == (0, 1, 2)
    assert 0.0 < tried["escapes"]["low"] < 0.5 < tried["escapes"]["high"] < 1.0
    assert found["command"].endswith("--anomaly-limit 1000.0 --classifier-limit 0.5")


def test_a_lower_limit_rejects_what_had_passed(client: TestClient, recorded: dict[str, list[str]]) -> None:
    found = client.get(PATH, params={"anomaly": 1e-6}).json()
    assert found["tried"]["rejected"]["rate"] == 1.0
    assert sorted(found["to_defect"]) == sorted(recorded["clean"])


@pytest.mark.parametrize(
    "query", ["anomaly=0", "anomaly=nan", "anomaly=-1", "classifier=1.5", "last=99", "last=10001", "more=1"]
)
def test_what_is_no_limit_is_refused(client: TestClient, query: str) -> None:
    assert client.get(f"{PATH}?{query}").status_code == 422


def test_parts_and_versions_that_are_not_there(client: TestClient, recorded: dict[str, list[str]]) -> None:
    assert client.get("/parts/cap/limits/trial").json()["code"] == "unknown_part"
    nothing = client.get(PATH, params={"version": "20250101-000000"}).json()
    assert (nothing["then"], nothing["tried"], nothing["parts"]) == (None, None, 0)
    assert nothing["other_versions"] == {"20260101-000000": 11}


def test_without_an_archive_there_is_nothing_to_try(start: StartClient) -> None:
    client = start(archive="none")
    assert client.get(PATH).json()["code"] == "archive_off"
    page = client.get("/station/limits", headers=PAGE)
    assert (page.status_code, "keeps no archive" in page.text) == (404, True)


def test_a_bundle_without_a_classifier_has_one_limit() -> None:
    seen = RecentScores(
        version="1",
        parts=(
            Scored("a", 4.0, None, rejected=True, defective=None),
            Scored("b", 2.0, None, rejected=False, defective=None),
            Scored("c", 1.0, None, rejected=False, defective=False),
        ),
        anomaly_limit=3.0,
        classifier_limit=None,
        invalid=0,
        others={},
    )
    trial = try_limits(seen, Tried(anomaly=2.0, classifier=0.1))
    assert trial is not None
    assert trial.classifier is None
    assert (trial.to_defect, trial.to_clean) == (("b",), ())
    assert trial.judged_now.escapes.rate is None


def test_the_page_shows_what_would_turn(client: TestClient, recorded: dict[str, list[str]]) -> None:
    page = client.get("/station/limits?part=bracket&anomaly=1000", headers=PAGE)
    assert page.status_code == 200
    assert "Rejected parts that would be clean: 2" in page.text
    assert f'href="/station/inspections/{recorded["anomalous"][0]}"' in page.text
    assert "--anomaly-limit 1000.0 --classifier-limit 0.5" in page.text
    assert len(re.findall("<svg ", page.text)) == 2
    same = client.get("/station/limits", headers=PAGE).text
    assert "nothing would change" in same


def test_what_cannot_be_used_is_named_and_stays_as_it_is(
    client: TestClient, recorded: dict[str, list[str]]
) -> None:
    page = client.get("/station/limits?anomaly=-3&last=7&classifier=0.4", headers=PAGE)
    assert page.status_code == 200
    assert "anomaly, last: not a limit that can be used" in page.text
    assert "--classifier-limit 0.4" in page.text


def test_no_part_was_judged_yet(client: TestClient) -> None:
    page = client.get("/station/limits", headers=PAGE).text
    assert "gave none of the last parts a verdict" in page


def test_a_part_without_defect_classes(start: StartClient, tmp_path: Path) -> None:
    make_tiny_bundle(tmp_path / "alone", classes=("clean",))
    client = start(bundles=tmp_path / "alone")
    inspect(client, "clean")
    inspect(client, "anomalous")
    page = client.get("/station/limits?classifier=0.4", headers=PAGE).text
    assert 'name="classifier"' not in page
    assert len(re.findall("<svg ", page)) == 1


def test_only_admins_see_the_page(start: StartClient, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    operator, _ = add_key(keys, "anna", "operator")
    admin, _ = add_key(keys, "boss", "admin")
    client = start(keys=keys, open_health=True)
    assert client.get("/station/limits", headers={"x-api-key": operator}).status_code == 403
    assert client.get("/station/limits", headers={"x-api-key": admin, **PAGE}).status_code == 200
    assert client.get(PATH, headers={"x-api-key": operator}).status_code == 200
