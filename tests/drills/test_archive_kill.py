"""The service is killed under load, again and again: what was answered is in the archive."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.conftest import DrillRecord
from tests.drills.evidence import check_nothing_lost, integrity, orphans
from tests.drills.harness import Shots, assert_never_clean_by_fault, cameras, photos, wait_for
from tests.drills.postgres import Postgres, postgres_server
from tests.service.live import serving

ROUNDS = int(os.environ.get("GLINT_KILL_ROUNDS", "200"))
POSTGRES_ROUNDS = max(1, ROUNDS // 10)
LONGEST_LIFE_SECONDS = 0.8
SETTINGS = {
    "GLINT_DEADLINE_MS": "5000",
    "GLINT_MAX_DEADLINE_MS": "5000",
    "GLINT_ARCHIVE_ORPHAN_SECONDS": "6",
    "GLINT_ARCHIVE_FREE_BYTES": "0",
}

pytestmark = pytest.mark.drill

ALBUM = photos(15)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    yield from postgres_server()


def test_sqlite_keeps_what_was_answered(
    tiny_bundles: Path, tmp_path: Path, drill_record: DrillRecord
) -> None:
    seen = drill(tiny_bundles, tmp_path, f"sqlite:///{tmp_path / 'inspections.sqlite'}", ROUNDS)
    assert integrity(tmp_path / "inspections.sqlite") == "ok"
    drill_record(**row("SQLite", ROUNDS), seen=f"{seen}; integrity check: ok")


def test_postgresql_keeps_what_was_answered(
    tiny_bundles: Path, tmp_path: Path, postgres: Postgres, drill_record: DrillRecord
) -> None:
    seen = drill(tiny_bundles, tmp_path, postgres.url, POSTGRES_ROUNDS)
    drill_record(**row("PostgreSQL", POSTGRES_ROUNDS), seen=seen)


def row(database: str, rounds: int) -> dict[str, str]:
    return {
        "fault": f"kill -9 (archive in {database})",
        "provoked": f"{rounds} rounds of load by four cameras and kill -9 at a random moment, on one archive",
        "expected": "what was answered is in the archive, once, with its photo; orphans are removed",
    }


def drill(bundles: Path, folder: Path, database: str, rounds: int) -> str:
    """Kill the service so often; what was seen."""
    chance = random.Random(7)
    settings = {**SETTINGS, "GLINT_DATABASE_URL": database}
    store = folder / "photos"
    everything = Shots()
    left = 0
    for _ in range(rounds):
        with (
            serving(bundles, archive=folder, environment=settings) as live,
            cameras(live.port, ALBUM, count=4, query="?overlay=none", serials=True) as shots,
        ):
            time.sleep(chance.uniform(0.05, LONGEST_LIFE_SECONDS))
            live.process.kill()
            live.process.wait(10)
        assert set(shots.codes()) <= {"not_ready"}
        everything.shots.extend(shots)
        left = max(left, len(orphans(database, store)))
    answered = len(everything.answered())
    assert answered > rounds
    assert_never_clean_by_fault(everything)

    with serving(bundles, archive=folder, environment=settings):
        wait_for(lambda: orphans(database, store) == [], "orphans to be removed", 30.0)
    rows = check_nothing_lost(everything, database, store)
    return f"{rounds} kills: {answered:,} answered, {rows:,} recorded, at most {left} orphans, all removed"
