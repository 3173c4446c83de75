"""Days of a line, made of the few inspections that are in an archive: something for its pages to show."""

import random
import uuid
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import insert

from service.archive.archive import Archive
from service.archive.filters import Filters
from service.archive.records import Record
from service.archive.tables import inspections
from service.settings import Settings

_SHIFT = timedelta(hours=8)
_REJECTS = 0.03
_BAD_REJECTS = 0.12
_BAD = (11, 12)  # shifts ago


def add_history(folder: Path, shifts: int = 30, each: int = 180, seed: int = 5) -> None:
    """Record copies of what is in the archive over the last shifts; in two of them a tool was blunt.

    What was recorded when follows the plant's shifts, so that they show it at any time of the day.
    """
    archive = Archive(Settings.of(archive=str(folder), archive_free_bytes=0))
    archive.start()
    try:
        found, _ = archive.page(Filters(), 500)
        clean = [record for record in found if record.verdict == "clean"]
        rejects = [record for record in found if record.verdict not in ("clean", "invalid")]
        copies = _copies(clean, rejects, shifts, each, random.Random(seed))
        with archive.holdings.database.writing() as connection:
            connection.execute(insert(inspections), [asdict(copy) for copy in copies])
    finally:
        archive.close()


def _start_of_shift(now: datetime) -> datetime:
    """When the shift began that `now` is in: those of the tests' plant change at 6, 14 and 22 o'clock."""
    local = now.astimezone(ZoneInfo("Europe/Berlin"))
    hours = (local.hour - 6) % 8
    return now - timedelta(hours=hours, minutes=local.minute, seconds=local.second)


def _copies(
    clean: list[Record], rejects: list[Record], shifts: int, each: int, chance: random.Random
) -> list[Record]:
    copies = []
    now = datetime.now(UTC) - timedelta(minutes=5)
    current = _start_of_shift(now)
    for ago in range(shifts):
        begin = current - ago * _SHIFT
        length = now - current if ago == 0 else _SHIFT
        for number in range(each):
            share = _BAD_REJECTS if ago in _BAD else _REJECTS
            model = chance.choice(rejects if chance.random() < share else clean)
            new_id = uuid.UUID(int=chance.getrandbits(128)).hex
            shifted = (model.score or 0.0) + chance.gauss(0.04 if ago in _BAD else 0.0, 0.01)
            low, high = (0.5, 1.0) if model in rejects else (0.0, 0.499)
            copies.append(
                replace(
                    model,
                    id=new_id,
                    time=begin + length * (number + 0.5) / each,
                    camera=chance.choice(["cam1", "cam2", "cam3"]),
                    score=min(high, max(low, shifted)),
                    request_key=None,
                    answer=model.answer.replace(model.id, new_id),
                    photo_state="not_kept",
                    photo=None,
                    overlay=None,
                )
            )
    return copies
