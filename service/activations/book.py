"""The book of activations: what was put in place is written down, and nothing in it is ever changed."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from service.activations.entries import START, Activation, Actor

log = logging.getLogger(__name__)


class Shelf(Protocol):
    """Where the book is kept. Each method may raise an error of its own kind when it cannot be reached."""

    def add(self, activation: Activation) -> None:
        """Keep one more, durably."""
        ...

    def newest(self, part: str, limit: int) -> list[Activation]:
        """The last ones of a part, the newest first."""
        ...


class InMemory:
    """A shelf that the end of the process clears."""

    def __init__(self) -> None:
        self._kept: list[Activation] = []

    def add(self, activation: Activation) -> None:
        """See `Shelf`."""
        self._kept.append(activation)

    def newest(self, part: str, limit: int) -> list[Activation]:
        """See `Shelf`."""
        return [each for each in reversed(self._kept) if each.part == part][:limit]


@dataclass(frozen=True)
class _Start:
    part: str
    version: str
    time: datetime


class Book:
    """Writes activations down and finds them again. Safe to call from several threads."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._lock = threading.Lock()
        self._unwritten: list[_Start] = []

    def activated(self, part: str, version: str, previous: str | None, by: Actor) -> None:
        """Write an activation down.

        Raises:
            Exception: whatever the shelf raises; then it is not in the book.
        """
        with self._lock:
            self._write_starts()
            self._shelf.add(Activation(part, version, previous, by, datetime.now(UTC)))

    def started(self, part: str, version: str) -> None:
        """Write down what serves after a start; if that cannot be done now, with the next entry or look.

        It raises nothing: a part that works must not stay out because of it.
        """
        with self._lock:
            self._unwritten.append(_Start(part, version, datetime.now(UTC)))
            self._try_to_write_starts()

    def catch_up(self) -> None:
        """Write down the starts that could not be written down before, if that can be done now."""
        with self._lock:
            self._try_to_write_starts()

    def of(self, part: str, limit: int) -> list[Activation]:
        """The last activations of a part, the newest first.

        Raises:
            Exception: whatever the shelf raises.
        """
        with self._lock:
            self._try_to_write_starts()
            return self._shelf.newest(part, limit)

    def _try_to_write_starts(self) -> None:
        try:
            self._write_starts()
        except Exception as error:
            # Each kind of shelf fails with errors of its own.
            said = "; ".join(f"{each.part} serves {each.version}" for each in self._unwritten)
            log.warning("It could not be written down yet: %s. %s", said, error)

    def _write_starts(self) -> None:
        while self._unwritten:
            first = self._unwritten[0]
            before = self._shelf.newest(first.part, 1)
            previous = before[0].version if before else None
            self._shelf.add(Activation(first.part, first.version, previous, START, first.time))
            del self._unwritten[0]


def serving_since(history: Sequence[Activation], active: str) -> datetime | None:
    """Since when the active version has served, restarts aside; None if the history does not say.

    Args:
        history: of one part, the newest first.
        active: the version that serves now.
    """
    since = None
    for each in history:
        if each.version != active:
            break
        since = each.time
        if each.previous != active:
            break
    return since


def version_before(history: Sequence[Activation], active: str | None) -> str | None:
    """The version that served last before the active one: where a roll-back leads.

    Args:
        history: of one part, the newest first.
        active: the version that serves now.
    """
    for each in history:
        if each.version != active:
            return each.version
        if each.previous not in (None, active):
            return each.previous
    return None
