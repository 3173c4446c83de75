"""What judgements say of the service: shares with exact intervals, and the defects by class."""

import csv

import pytest
from fastapi.testclient import TestClient
from scipy import stats

from models.intervals import share
from service.review.desk import Desk
from service.review.figures import Period
from tests.service.archive.conftest import MakeEntry, StartArchive, record
from tests.service.archive.test_retention import make_older, tidy
from tests.service.review.conftest import Record, says


@pytest.mark.parametrize(
    ("count", "total"), [(0, 1), (1, 1), (0, 30), (3, 10), (10, 10), (5, 1000), (500, 1000), (12, 100_000)]
)
def test_intervals_are_those_of_clopper_and_pearson(count: int, total: int) -> None:
    low = stats.beta.ppf(0.025, count, total - count + 1) if count else 0.0
    high = stats.beta.ppf(0.975, count + 1, total - count) if count < total else 1.0
    found = share(count, total)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
    assert found.rate == count / total


def test_of_nothing_there_is_no_share() -> None:
    assert (share(0, 0).rate, share(0, 0).low, share(0, 0).high) == (None, None, None)


def test_escapes_are_told_from_the_sample_alone(start_archive: StartArchive, make_entry: MakeEntry) -> None:
    archive = start_archive(review_sample=1.0)
    desk = Desk(archive.holdings)
    sampled = []
    for _ in range(5):
        entry = make_entry("clean")
        record(archive, entry)
        sampled.append(entry.inspection.id)
    archive._recorder.writer._review_share = 0.0
    chosen = make_entry("clean")
    record(archive, chosen)
    for inspection_id in sampled[:2]:
        desk.judge(inspection_id, says("accept"))
    desk.judge(sampled[2], says("overrule", label="dented"))
    desk.judge(sampled[3], says("cannot_tell"))
    # Somebody looked for it: to count it would make escapes seem commoner than they are.
    desk.judge(chosen.inspection.id, says("overrule", label="dented"))
    found = desk.numbers(Period())
    assert (found.escapes.count, found.escapes.total) == (1, 3)
    assert (found.passed, found.sample_waiting, found.cannot_tell) == (6, 1, 1)
    assert found.escapes_expected == pytest.approx((2.0, 6 * found.escapes.low, 6 * found.escapes.high))
    assert found.defects == [("dented", 2)]


def test_only_what_can_be_sampled_counts_as_passed_and_what_lost_its_photo_is_told(
    start_archive: StartArchive, make_entry: MakeEntry
) -> None:
    archive = start_archive(review_sample=1.0, archive_photos="all,cap=none", retention_days=30)
    entries = [make_entry("clean", part=part) for part in ("bracket", "bracket", "cap")]
    for entry in entries:
        record(archive, entry)
    make_older(archive, entries[0].inspection.id, 31)
    tidy(archive)
    found = Desk(archive.holdings).numbers(Period())
    assert (found.passed, found.sample_waiting, found.sample_gone) == (2, 1, 1)


def test_false_rejects_doubts_and_disagreement(desk: Desk, inspect: Record) -> None:
    desk.judge(inspect("scratched"), says("accept"))
    desk.judge(inspect("scratched"), says("overrule"))
    desk.judge(inspect("anomalous"), says("accept", label="dented"))
    desk.judge(inspect("clean", needs_review=True), says("overrule"))
    desk.judge(inspect("scratched", part="cap"), says("accept"))
    found = desk.numbers(Period("bracket"))
    assert (found.false_rejects.count, found.false_rejects.total) == (1, 3)
    assert (found.doubtful_defects.count, found.doubtful_defects.total) == (1, 1)
    assert (found.disagreement.count, found.disagreement.total) == (2, 4)
    assert found.defects == [("anomalous", 1), ("dented", 1), ("scratched", 1)]
    assert found.escapes.rate is None
    assert found.escapes_expected is None


def test_numbers_over_http(client: TestClient) -> None:
    found = client.get("/reviews/numbers", params={"from": "2026-01-01T00:00:00Z"}).json()
    assert found["escapes"] == {"count": 0, "total": 0, "rate": None, "low": None, "high": None}
    assert found["defects"] == []
    assert (found["sample_waiting"], found["sample_gone"]) == (0, 0)
    table = client.get("/reviews/numbers.csv")
    assert table.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(table.text.splitlines()))
    assert [row["number"] for row in rows][:2] == ["escapes", "doubtful_defects"]
    assert client.get("/reviews/numbers", params={"from": "yesterday"}).status_code == 422
