"""Keeps what was read of the newest inspections, so that a question reads only what is new since the last."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import Connection

from service.statistics.reading import Read, read

# Longer than a photo may take from its time to its record, and than its verdict may be taken back.
_SETTLING = timedelta(minutes=2)
# Records that retention removed are forgotten then, and whatever a clock that was set back hid is found.
_LONGEST = timedelta(hours=1)


class Memory:
    """The newest inspections, at most about `most`. Not to be used from several threads at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: Read | None = None
        self._numbers: dict[str, int] = {}
        self._read_at: datetime | None = None
        self._begun_at: datetime | None = None

    def newest(self, connection: Connection, now: datetime) -> Read:
        """All of them, those that were recorded just now included."""
        kept, last = self._kept, self._read_at
        if kept is None or last is None or self._is_old(now):
            numbers: dict[str, int] = {}
            self._kept = read(connection, None, None, self._most, numbers)
            # Once it has been read: codes that are kept go with the numbers that they were read with.
            self._numbers, self._begun_at = numbers, now
        else:
            (settled,) = kept.places_of([last - _SETTLING])
            new = read(connection, last - _SETTLING, None, self._most, self._numbers)
            self._kept = self._joined(kept.from_(0, settled), new)
        self._read_at = now
        return self._kept

    def _is_old(self, now: datetime) -> bool:
        return self._begun_at is None or not timedelta(0) <= now - self._begun_at < _LONGEST

    def _joined(self, settled: Read, new: Read) -> Read:
        if new.cut:
            return new
        joined = replace(
            new,
            times=np.concatenate([settled.times, new.times]),
            codes=np.concatenate([settled.codes, new.codes]),
            scores=np.concatenate([settled.scores, new.scores]),
            cut=settled.cut,
        )
        excess = len(joined.times) - self._most
        # Not each time, since it takes a copy of all.
        return joined.from_(excess, cut=True) if excess > self._most // 10 else joined
