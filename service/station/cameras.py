"""How each camera's line runs: its last part, and how many of the last ones were rejected."""

import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from service.station.entries import Entry
from service.telemetry.names import BoundedNames
from service.verdicts import Kind

WINDOW = 200
FULL_SECONDS = 60.0
REFUSED_SECONDS = 60.0
_TOO_MANY = ("queue_full", "queue_too_long")


@dataclass
class _Line:
    kinds: OrderedDict[str, Kind] = field(default_factory=OrderedDict)  # by the parts' ids
    last: Entry | None = None
    full_at: float | None = None

    def count(self, kind: Kind) -> int:
        return list(self.kinds.values()).count(kind)


class Cameras:
    """The lines by camera; the first so many have their own, the rest share `other`."""

    def __init__(self, names: BoundedNames) -> None:
        self._names = names
        self._lines: dict[str, _Line] = {}
        self._key_refused_at: float | None = None

    def take(self, entry: Entry) -> str:
        """Count the newest entry; return the name its camera counts as.

        A camera has a name of its own once a photo of it could be read: whoever is let in might send others.
        """
        name = self._names.learn(entry.camera) if entry.has_picture else self._names.known(entry.camera)
        line = self._lines.setdefault(name, _Line())
        # A part whose verdict was taken back counts once, as what it is now.
        line.kinds.pop(entry.id, None)
        line.kinds[entry.id] = entry.kind
        if len(line.kinds) > WINDOW:
            line.kinds.popitem(last=False)
        line.last = entry
        if entry.code in _TOO_MANY:
            line.full_at = time.monotonic()
        return name

    def take_older(self, entries: Iterable[Entry]) -> None:
        """Count entries from before the start, the newest first."""
        for entry in entries:
            line = self._lines.setdefault(self._names.learn(entry.camera), _Line())
            if len(line.kinds) < WINDOW:
                line.kinds[entry.id] = entry.kind
                line.kinds.move_to_end(entry.id, last=False)
            line.last = line.last or entry

    def names(self) -> list[str]:
        """Every camera that was seen."""
        return sorted(self._lines)

    def line_of(self, entry: Entry) -> str:
        """The name that the camera of an entry counts as."""
        return self._names.known(entry.camera)

    def note_refused_key(self) -> None:
        """A photo came without a key that may send any. Nobody can tell of which camera."""
        self._key_refused_at = time.monotonic()

    @property
    def was_key_refused(self) -> bool:
        """Whether such a photo came in the last minute."""
        refused_at = self._key_refused_at
        return refused_at is not None and time.monotonic() - refused_at < REFUSED_SECONDS

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
            "judged": len(line.kinds) - line.count("invalid"),
            "rejected": line.count("defect"),
            "invalid": line.count("invalid"),
            "last": line.last.as_json() if line.last else None,
        }
