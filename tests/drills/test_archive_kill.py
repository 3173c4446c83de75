"""The service is killed under load, again and again: what was answered is in the archive."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.evidence import check_nothing_lost, integrity, orphans
from tests.drills.load import Answered, Load
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


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    yield from postgres_server()


def test_sqlite_keeps_what_was_answered(tiny_bundles: Path, tmp_path: Path) -> None:
    drill(tiny_bundles, tmp_path, f"sqlite:///{tmp_path / 'inspections.sqlite'}", ROUNDS)
    assert integrity(tmp_path / "inspections.sqlite") == "ok"


def test_postgresql_keeps_what_was_answered(tiny_bundles: Path, tmp_path: Path, postgres: Postgres) -> None:
    drill(tiny_bundles, tmp_path, postgres.url, POSTGRES_ROUNDS)


def drill(bundles: Path, folder: Path, database: str, rounds: int) -> None:
    chance = random.Random(7)  # noqa: S311
    settings = {**SETTINGS, "GLINT_DATABASE_URL": database}
    photos = folder / "photos"
    answers: list[Answered] = []
    left = 0
    for _ in range(rounds):
        with serving(bundles, archive=folder, environment=settings) as live, Load(live.port) as load:
            time.sleep(chance.uniform(0.05, LONGEST_LIFE_SECONDS))
            live.process.kill()
            live.process.wait(10)
        assert set(load.codes) <= {"not_ready"}
        answers += load.answers
        left = max(left, len(orphans(database, photos)))
    assert len(answers) > rounds
    assert all(answer.verdict == answer.expected for answer in answers)

    with serving(bundles, archive=folder, environment=settings):
        last = time.monotonic() + 30.0
        while orphans(database, photos) and time.monotonic() < last:
            time.sleep(0.2)
    assert orphans(database, photos) == []
    rows = check_nothing_lost(answers, database, photos)
    print(f"{rounds} kills: {len(answers)} answered, {rows} recorded, at most {left} orphans, all cleaned")
