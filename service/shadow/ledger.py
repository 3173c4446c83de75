"""Where shadow verdicts are kept: counted in memory, and with an archive in its database."""

import logging
import threading
from collections import Counter, deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from service.archive.errors import ArchiveUnavailableError
from service.shadow.comparison import Comparison, Flip, ShadowVerdict

if TYPE_CHECKING:
    from service.archive.archive import Archive

MOST_WAITING = 1000
_MOST_FLIPS = 50

log = logging.getLogger(__name__)


class Ledger(Protocol):
    """Takes shadow verdicts in, and tells what they amount to. Safe to call from several threads."""

    def take(self, verdicts: Sequence[ShadowVerdict]) -> None:
        """Keep some; raises nothing."""
        ...

    def comparison(self, part: str, version: str, active: str) -> Comparison:
        """The photos of a part that these two bundles have judged, the candidate in the shadow."""
        ...

    def flips(self, part: str, version: str, active: str, limit: int) -> list[Flip]:
        """Those on which they differ, the newest first."""
        ...


class InMemory:
    """What was said since the service started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pairs: dict[tuple[str, str, str], Counter[tuple[str, str]]] = {}
        self._flips: dict[tuple[str, str, str], deque[Flip]] = {}

    def take(self, verdicts: Sequence[ShadowVerdict]) -> None:
        """See `Ledger`."""
        with self._lock:
            for each in verdicts:
                key = (each.part, each.version, each.active_version)
                self._pairs.setdefault(key, Counter())[each.active_verdict, each.verdict] += 1
                if each.flipped:
                    flip = Flip(each.inspection_id, each.time, each.active_verdict, each.verdict)
                    self._flips.setdefault(key, deque(maxlen=_MOST_FLIPS)).appendleft(flip)

    def comparison(self, part: str, version: str, active: str) -> Comparison:
        """See `Ledger`."""
        with self._lock:
            return Comparison(dict(self._pairs.get((part, version, active), {})))

    def flips(self, part: str, version: str, active: str, limit: int) -> list[Flip]:
        """See `Ledger`."""
        with self._lock:
            return list(self._flips.get((part, version, active), ()))[:limit]


class InArchive:
    """What is recorded with the inspections. What cannot be written now is tried again with the next."""

    def __init__(self, archive: "Archive") -> None:
        self._archive = archive
        self._lock = threading.Lock()
        self._waiting: list[ShadowVerdict] = []

    def take(self, verdicts: Sequence[ShadowVerdict]) -> None:
        """See `Ledger`."""
        from service.archive.shadows import write

        with self._lock:
            self._waiting = [*self._waiting, *verdicts][-MOST_WAITING:]
            try:
                self._archive.check()
                write(self._archive.holdings.database, self._waiting)
            except ArchiveUnavailableError as error:
                log.warning("Shadow verdicts wait to be recorded: %s", error.reason)
                return
            except Exception:
                # No photo may wait, and no candidate end, for what only the page shows.
                log.exception("%d shadow verdicts were not recorded.", len(self._waiting))
            self._waiting = []

    def comparison(self, part: str, version: str, active: str) -> Comparison:
        """See `Ledger`.

        Raises:
            ArchiveBusyError, ArchiveUnavailableError: when the archive cannot be asked.
        """
        from service.archive.shadows import pairs

        holdings = self._archive.holdings
        with holdings.reading() as connection:
            return Comparison(pairs(connection, part, version, active))

    def flips(self, part: str, version: str, active: str, limit: int) -> list[Flip]:
        """See `Ledger`.

        Raises:
            ArchiveBusyError, ArchiveUnavailableError: when the archive cannot be asked.
        """
        from service.archive.shadows import flips

        holdings = self._archive.holdings
        with holdings.reading() as connection:
            return flips(connection, part, version, active, limit)


def open_ledger(archive: "Archive | None") -> Ledger:
    """The ledger of a service with this archive, or with none."""
    return InArchive(archive) if archive is not None else InMemory()
