"""Answers questions about the recorded inspections. No HTTP in here."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from models.preprocessing import Preprocessing
from service.archive.errors import ArchiveBusyError
from service.plant_time import PlantTime
from service.statistics.question import MOST_READ, Question

if TYPE_CHECKING:
    from service.archive.archive import Archive
    from service.archive.holdings import Holdings
    from service.statistics.memory import Memory
    from service.statistics.places import Places
    from service.statistics.reading import Read
    from service.statistics.trend import Trend

# Seconds for what another reads: everything takes a second or two, and a database that hangs for ever.
_LONGEST_WAIT = 5.0

# What it takes is loaded with the first question: the service starts without pixels and numbers.


class Analyst:
    """Safe to call from several threads.

    Every method may raise `ArchiveBusyError` and `ArchiveUnavailableError`.
    """

    def __init__(
        self, holdings: "Holdings", plant: PlantTime, framing: Callable[[str], Preprocessing | None]
    ) -> None:
        """`framing` says how photos of a part lie in the model's input; None if no bundle of it is loaded."""
        self._holdings = holdings
        self._framing = framing
        self._memory: Memory | None = None
        self._lock = threading.Lock()
        self.plant = plant

    def trend(self, question: Question) -> "Trend":
        """How the line ran."""
        from service.statistics.trend import trend_of

        now = datetime.now(UTC)
        return trend_of(self._read(question), question, self.plant, now)

    def _read(self, question: Question) -> "Read":
        from service.statistics.memory import Memory
        from service.statistics.reading import read

        # Who waits for another's reading takes no turn: there are few, and others ask for less.
        if not self._lock.acquire(timeout=_LONGEST_WAIT):
            raise ArchiveBusyError
        try:
            self._memory = self._memory or Memory(MOST_READ)
            with self._holdings.reading() as connection:
                # Not the time of the question: one that waited would seem to come from before what is kept.
                found = self._memory.newest(connection, datetime.now(UTC))
        finally:
            self._lock.release()
        if question.until is None or not found.cut:
            return found
        with self._holdings.reading() as connection:
            # A time that is past, and may be before all that is kept.
            return read(connection, question.since, question.until, MOST_READ)

    def places(self, question: Question) -> "Places":
        """Where on the part defects lie; the question names the part."""
        from service.statistics.places import defects_of, places_of
        from service.statistics.trend import chosen_of

        now = datetime.now(UTC)
        read = self._read(question)
        asked = chosen_of(read, question, self.plant, now)
        with self._holdings.reading() as connection:
            found = defects_of(connection, read, question, asked)
        return places_of(found, self._framing(question.part or ""), self._mask)

    def _mask(self, path: str) -> bytes | None:
        try:
            return self._holdings.picture(path)
        except FileNotFoundError:
            return None


def open_analyst(
    archive: "Archive | None", plant: PlantTime, framing: Callable[[str], Preprocessing | None]
) -> Analyst | None:
    """Who answers questions about the archive's inspections; None without an archive."""
    return None if archive is None else Analyst(archive.holdings, plant, framing)
