"""The book of activations and shadow verdicts on a real PostgreSQL server."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from service.activations.entries import Actor
from service.activations.opening import open_book
from service.archive.archive import Archive
from service.archive.tables import inspections, reviews, shadow_verdicts
from service.settings import Settings
from service.shadow.comparison import ShadowVerdict
from service.shadow.ledger import InArchive
from tests.drills.postgres import Postgres, postgres_server
from tests.service.archive.conftest import MakeEntry, record

pytestmark = pytest.mark.drill


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    yield from postgres_server()


def verdict(inspection_id: str, version: str, said: str) -> ShadowVerdict:
    now = datetime.now(UTC)
    return ShadowVerdict(inspection_id, version, now, "bracket", said, 0.6, 4.0, None, False, "1", "clean")


def test_models_on_postgres(
    postgres: Postgres,
    make_entry: MakeEntry,
    tmp_path: Path,
) -> None:
    settings = Settings.of(archive=str(tmp_path / "archive"), database_url=postgres.url, archive_free_bytes=0)
    archive = Archive(settings)
    archive.start()
    book = open_book(settings, archive)
    book.started("bracket", "1")
    book.activated("bracket", "2", "1", Actor("Ada", "3f0c6d3a4b0e"))
    found = [(each.version, each.previous, each.by.name) for each in book.of("bracket", 9)]
    assert found == [("2", "1", "Ada"), ("1", None, "start")]
    for order in ("UPDATE activations SET by_name = 'nobody'", "DELETE FROM activations"):
        with (
            pytest.raises(SQLAlchemyError, match="never changed or removed"),
            archive.holdings.database.engine.begin() as connection,
        ):
            connection.execute(text(order))
    entries = [make_entry("clean") for _ in range(2)]
    for entry in entries:
        record(archive, entry)
    ids = [entry.inspection.id for entry in entries]
    ledger = InArchive(archive)
    # One of an inspection that is gone, and one that is there twice, keep none of the others out.
    said = [(ids[0], "anomalous"), (ids[1], "clean"), ("0" * 32, "clean"), (ids[0], "anomalous")]
    ledger.take([verdict(inspection_id, "2", each) for inspection_id, each in said])
    assert ledger.comparison("bracket", "2", "1").pairs == {("clean", "anomalous"): 1, ("clean", "clean"): 1}
    assert [flip.inspection_id for flip in ledger.flips("bracket", "2", "1", 9)] == [ids[0]]
    with archive.holdings.database.writing() as connection:
        connection.execute(delete(reviews))
        connection.execute(delete(inspections))
        assert connection.scalar(select(func.count()).select_from(shadow_verdicts)) == 0
    archive.close()
