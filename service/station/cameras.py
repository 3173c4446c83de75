"""How each camera's line runs: its last part, and how many of the last ones were rejected."""

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from service.station.entries import Entry, Kind
from service.telemetry.names import BoundedNames

WINDOW = 200
FULL_SECONDS = 60.0
_TOO_MANY = ("queue_full", "queue_too_long")


@dataclass
class _Line:
    kinds: deque[Kind] = field(default_factory=lambda: deque(maxlen=WINDOW))
    last: Entry | None = None
    full_at: float | None = None


class Cameras:
    """The lines by camera; the first so many have their own, the rest share `other`."""

    def __init__(self, names: BoundedNames) -> None:
        self._names = names
        self._lines: dict[str, _Line] = {}

    def take(self, entry: Entry) -> str:
        """Count the newest entry; return the name its camera counts as.

        A camera has a name of its own once a photo of it could be read: whoever is let in might send others.
        """
        name = self._names.learn(entry.camera) if entry.has_picture else self._names.known(entry.camera)
        line = self._lines.setdefault(name, _Line())
        line.kinds.append(entry.kind)
        line.last = entry
        if entry.code in _TOO_MANY:
            line.full_at = time.monotonic()
        return name

    def take_older(self, entries: Iterable[Entry]) -> None:
        """Count entries from before the start, the newest first."""
        for entry in entries:
            line = self._lines.setdefault(self._names.learn(entry.camera), _Line())
            if len(line.kinds) < WINDOW:
                line.kinds.appendleft(entry.kind)
            line.last = line.last or entry

    def names(self) -> list[str]:
        """Every camera that was seen."""
        return sorted(self._lines)

    def part_of(self, name: str) -> str:
        """The part that a camera showed last; empty if that is not known."""
        last = self._lines[name].last
        return last.part if last else ""

    def was_full(self, name: str) -> bool:
        """Whether a photo of this camera was refused in the last minute because too many waited."""
        full_at = self._lines[name].full_at
        return full_at is not None and time.monotonic() - full_at < FULL_SECONDS

    def as_json(self, name: str) -> dict[str, Any]:
        """JSON values: of the last `WINDOW` parts, how many had a verdict, and how many were rejected."""
        line = self._lines[name]
        return {
            "name": name,
            "judged": len(line.kinds) - line.kinds.count("invalid"),
            "rejected": line.kinds.count("defect"),
            "invalid": line.kinds.count("invalid"),
            "last": line.last.as_json() if line.last else None,
        }
