"""Trends and places on a real PostgreSQL server: the same numbers as on SQLite."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.preprocessing import Preprocessing
from service.archive.archive import Archive
from service.review.desk import Desk
from service.review.figures import Period
from service.settings import Settings
from service.statistics import analyst as analyst_module
from service.statistics.analyst import Analyst
from service.statistics.question import Question
from tests.drills.postgres import Postgres, postgres_server
from tests.service.archive.conftest import MakeEntry, record
from tests.service.archive.test_retention import make_older
from tests.service.review.conftest import says
from tests.service.review.drawings import drawing

pytestmark = pytest.mark.drill


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    yield from postgres_server()


def test_numbers_on_postgres(
    postgres: Postgres,
    make_entry: MakeEntry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings.of(
        archive=str(tmp_path / "archive"),
        database_url=postgres.url,
        archive_free_bytes=0,
        shifts="06:00,18:00",
    )
    archive = Archive(settings)
    archive.start()
    try:
        square = Preprocessing(height=64, width=64)
        analyst = Analyst(archive.holdings, settings.plant_time, lambda part: square)
        assert analyst.trend(Question()).buckets == ()
        entries = [make_entry(kind, camera="cam1") for kind in ("clean", "scratched", "anomalous")]
        for entry in entries:
            record(archive, entry)
        begun = datetime.now(UTC)
        for by in ("hour", "shift", "day"):
            (bucket,) = [each for each in analyst.trend(Question(by=by)).buckets if each.inspected]
            assert (bucket.inspected, bucket.rejects) == (3, 2)
            assert bucket.begin <= begun < bucket.end
        assert analyst.trend(Question()).groups["camera"][0].name == "cam1"
        desk = Desk(archive.holdings)
        desk.judge(entries[2].inspection.id, says("accept", mask=drawing()))
        places = analyst.places(Question(part="bracket", camera="cam1"))
        assert (places.defects, places.drawn, int(places.cells.max())) == (2, 1, 2)
        assert desk.numbers(Period("bracket", camera="cam1", version="20260101-000000")).passed == 1
        make_older(archive, entries[1].inspection.id, 10)
        monkeypatch.setattr(analyst_module, "MOST_READ", 2)
        fresh = Analyst(archive.holdings, settings.plant_time, lambda part: square)
        found = fresh.trend(Question(until=begun - timedelta(days=5)))
        assert [(each.inspected, each.rejects) for each in found.buckets if each.inspected] == [(1, 1)]
    finally:
        archive.close()
