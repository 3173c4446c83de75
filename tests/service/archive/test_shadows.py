"""Shadow verdicts in the archive: each with its inspection, and with few commits."""

from datetime import UTC, datetime

from sqlalchemy import delete, event

from service.archive.archive import Archive
from service.archive.tables import inspections
from service.shadow.comparison import ShadowVerdict
from service.shadow.ledger import InArchive
from tests.service.archive.conftest import MakeEntry, record


def verdict(inspection_id: str, said: str) -> ShadowVerdict:
    now = datetime.now(UTC)
    return ShadowVerdict(inspection_id, "2", now, "bracket", said, 0.6, 4.0, None, False, "1", "clean")


def test_one_that_cannot_be_kept_costs_neither_the_others_nor_a_commit_each(
    archive: Archive, make_entry: MakeEntry
) -> None:
    entries = [make_entry("clean") for _ in range(6)]
    for entry in entries:
        record(archive, entry)
    ids = [entry.inspection.id for entry in entries]
    gone, twice = "0" * 32, ids[0]
    commits: list[object] = []
    event.listen(archive.holdings.database.engine, "commit", commits.append)
    ledger = InArchive(archive)
    ledger.take([verdict(each, "anomalous") for each in (gone, *ids, twice)])
    assert len(commits) == 1
    assert ledger.comparison("bracket", "2", "1").pairs == {("clean", "anomalous"): 6}
    assert {flip.inspection_id for flip in ledger.flips("bracket", "2", "1", 9)} == {*ids}
    with archive.holdings.database.writing() as connection:
        connection.execute(delete(inspections).where(inspections.c.id == twice))
    assert ledger.comparison("bracket", "2", "1").judged == 5
