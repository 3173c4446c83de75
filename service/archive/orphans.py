"""Removes pictures that no row names, as a killed service or a failed commit leaves them."""

import posixpath
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from service.archive.database import Database
from service.archive.queries import pictures_of
from service.archive.store import PhotoStore

_CHUNK = 500
_MARGIN_SECONDS = 300.0


@dataclass(frozen=True)
class _Doubtful:
    inspection_id: str
    path: str
    pending: "Future[None] | None" = None
    since: float = field(default_factory=time.monotonic)


class Orphans:
    """Looks twice: what has no row now may get one in a moment, so it is removed only after a while.

    The while is measured by a clock that no operator can set. It must be longer than any request may take,
    since other services may be writing into the same archive.
    """

    def __init__(self, database: Database, store: PhotoStore, seconds: float) -> None:
        """`seconds`: time from the first look to the second."""
        self._database = database
        self._store = store
        self._seconds = seconds
        self._lock = threading.Lock()
        self._doubtful: deque[_Doubtful] = deque()

    def doubt(self, inspection_id: str, path: str, pending: "Future[None] | None" = None) -> None:
        """Look later whether a row names this picture; not before `pending`, its row's write, is done."""
        with self._lock:
            self._doubtful.append(_Doubtful(inspection_id, path, pending))

    def look(self, first: datetime, last: datetime) -> None:
        """Take the first look at all pictures from `first` to `last`, and a little around that."""
        margin = timedelta(seconds=_MARGIN_SECONDS + self._seconds)
        paths = list(self._store.paths_between(first - margin, last + margin))
        for start in range(0, len(paths), _CHUNK):
            chunk = paths[start : start + _CHUNK]
            for path in self._without_row(chunk):
                self.doubt(id_in(path), path)

    def remove(self) -> int:
        """Take the second look at what is due, remove what still has no row, and say how many that was."""
        due = self._take_due()
        try:
            orphans = self._without_row([item.path for item in due])
            for path in orphans:
                self._store.delete(path)
        except BaseException:
            with self._lock:
                self._doubtful.extendleft(reversed(due))
            raise
        return len(orphans)

    @property
    def waiting(self) -> int:
        """How many pictures wait for their second look."""
        return len(self._doubtful)

    def _take_due(self) -> list[_Doubtful]:
        latest = time.monotonic() - self._seconds
        with self._lock:
            due = [
                item
                for item in list(self._doubtful)[:_CHUNK]
                if item.since <= latest and (item.pending is None or item.pending.done())
            ]
            for item in due:
                self._doubtful.remove(item)
        return due

    def _without_row(self, paths: list[str]) -> list[str]:
        if not paths:
            return []
        with self._database.reading() as connection:
            named = pictures_of(connection, [id_in(path) for path in paths])
        return [path for path in paths if path not in named.get(id_in(path), set())]


def id_in(path: str) -> str:
    """The id in a picture's path, be the picture half-written or not."""
    return posixpath.basename(path).lstrip(".").partition(".")[0]
