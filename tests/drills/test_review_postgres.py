"""Judgements, the queue and the data set on a real PostgreSQL server."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import delete, text, update
from sqlalchemy.exc import SQLAlchemyError

from service.archive.archive import Archive
from service.archive.database import Database
from service.archive.tables import inspections, judgements, metadata
from service.review import judging
from service.review.desk import Desk
from service.review.errors import JudgedMeanwhileError
from service.review.figures import Period
from service.review.items import Wish
from service.settings import Settings
from tests.drills.postgres import Postgres, postgres_server
from tests.service.archive.conftest import MakeEntry, record, wait_until
from tests.service.review.conftest import says
from tests.service.review.drawings import drawing
from tests.service.review.test_dataset import export

pytestmark = pytest.mark.drill


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    yield from postgres_server()


@pytest.fixture
def archive(postgres: Postgres, tmp_path: Path) -> Iterator[Archive]:
    archive = Archive(
        Settings.of(
            archive=str(tmp_path / "archive"),
            database_url=postgres.url,
            archive_free_bytes=0,
            review_sample=1.0,
        )
    )
    archive.start()
    yield archive
    archive.close()


def test_review_on_postgres(
    archive: Archive,
    make_entry: MakeEntry,
    postgres: Postgres,
    tmp_path: Path,
) -> None:
    desk = Desk(archive.holdings)
    entries = [make_entry(kind) for kind in ("scratched", "anomalous", "clean", "scratched")]
    for entry in entries:
        record(archive, entry)
    ids = [entry.inspection.id for entry in entries]
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda number: desk.take(f"{number:032x}", Wish()), range(4)))
    assert sorted(taken) == sorted(ids)

    def try_it(number: int) -> bool:
        try:
            desk.judge(ids[0], says("accept", f"operator {number}", mask=drawing()))
        except JudgedMeanwhileError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(try_it, range(4))) == 1
    [first] = desk.history(ids[0])
    undone = desk.judge(ids[0], says("undo", supersedes=first.id))
    assert undone.stands is None
    desk.judge(ids[0], says("accept", supersedes=undone.id, mask=drawing()))
    desk.judge(ids[2], says("overrule"))
    for change in (update(judgements).values(operator="Nobody"), delete(judgements)):
        with (
            pytest.raises(SQLAlchemyError, match="never changed"),
            archive._database.engine.begin() as connection,
        ):
            connection.execute(change)
    found = desk.numbers(Period("bracket"))
    assert (found.escapes.count, found.escapes.total, found.passed) == (1, 1, 1)
    assert desk.counts().judged == 2
    assert "2 photos are in" in export(
        tmp_path / "archive", tmp_path / "reviewed", "--database-url", postgres.url, "--unnamed", "odd"
    )


def test_a_database_of_before_is_brought_up_to_date(
    archive: Archive,
    make_entry: MakeEntry,
    postgres: Postgres,
) -> None:
    entry = make_entry("scratched")
    record(archive, entry)
    with archive._database.engine.begin() as connection:
        for statement in (
            "DROP TABLE shadow_verdicts",
            "DROP TABLE activations",
            "DROP FUNCTION refuse_activation_change",
            "DROP TABLE judgements",
            "DROP TABLE reviews",
            "DROP FUNCTION refuse_judgement_change",
            "DROP INDEX ix_inspections_counts",
            "UPDATE alembic_version SET version_num = '0001'",
        ):
            connection.execute(text(statement))
    slowly = Database(postgres.url, seconds=0.5)
    opening = threading.Thread(target=slowly.open)
    with archive._database.engine.begin() as connection:
        # The steps wait for this table longer than a request's statement may.
        connection.execute(text("LOCK TABLE inspections IN EXCLUSIVE MODE"))
        opening.start()
        time.sleep(2.0)
    opening.join(30.0)
    assert slowly._identity is not None
    slowly.close()
    with archive._database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.execute(inspections.select()).rowcount == 1
    assert [item.inspection_id for item in Desk(archive.holdings).waiting(Wish(), 9)] == [entry.inspection.id]


def test_what_is_judged_while_retention_works_stays(
    archive: Archive,
    make_entry: MakeEntry,
) -> None:
    first, second = make_entry("scratched"), make_entry("scratched")
    for entry in (first, second):
        record(archive, entry)
    retention = archive._retention
    assert judged_during(
        archive, first.inspection.id, lambda: retention._mark(inspections.c.id == first.inspection.id)
    )
    assert archive.find(first.inspection.id).photo_state == "kept"

    assert retention._mark(inspections.c.id == second.inspection.id)
    assert retention._finish()
    later = datetime.now(UTC)
    assert not judged_during(archive, second.inspection.id, lambda: retention._delete_rows(later))
    assert archive.find(second.inspection.id).photo_state == "removed"
    assert not retention._delete_rows(later)


def judged_during(archive: Archive, inspection_id: str, act: Callable[[], bool]) -> bool:
    """Record a judgement that is committed only once `act` waits for it; what `act` returned."""
    found = archive.find(inspection_id)
    judgement = judging._judgement_of(found, [], says("accept"))
    waits = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    with ThreadPoolExecutor(1) as pool:
        with archive._database.engine.begin() as connection:
            judging._write(connection, found, judgement, [judgement])
            acting = pool.submit(act)
            looking = archive._database.engine.execution_options(isolation_level="AUTOCOMMIT")
            with looking.connect() as other:
                wait_until(lambda: other.scalar(waits) == 1)
        return acting.result(10.0)
