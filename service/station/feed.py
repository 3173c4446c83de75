"""What happens, told to every board that is open: one fan-out on the event loop, bounded for each."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from models.decision import INVALID
from service.orders import Seen
from service.station.cameras import Cameras
from service.station.entries import Entry, entry_of_inspection, entry_of_refusal
from service.station.recent import Recent
from service.telemetry.record import RequestRecord

MOST_BOARDS = 32
SHOWN_ENTRIES = 60
_QUEUE = 128
# Whoever was not let in has no part to show the operator; but it may be a camera whose key was revoked.
_STRANGERS = ("unauthorized", "forbidden", "forged")
_WRONG_KEY = ("unauthorized", "forbidden")


class Subscription:
    """The events of one board. When it falls behind, they give way to a new snapshot."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[bytes] = asyncio.Queue(_QUEUE)
        self.behind = False
        self.ended = False

    def tell(self, event: bytes) -> None:
        """Add an event; never waits."""
        if self.behind:
            return
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            self.behind = True

    def end(self) -> None:
        """Let the board go, once it has taken what is waiting."""
        self.ended = True
        self.drain()
        self._events.put_nowait(b"")

    async def wait(self, seconds: float) -> bytes:
        """All events that are there, in one piece; empty when none came in time."""
        try:
            first = await asyncio.wait_for(self._events.get(), seconds)
        except TimeoutError:
            return b""
        return first + self.drain()

    def drain(self) -> bytes:
        """Take what is there."""
        pieces = []
        while not self._events.empty():
            pieces.append(self._events.get_nowait())
        return b"".join(pieces)


class Feed:
    """Takes in what was inspected and hands it on. Use it from the event loop only."""

    def __init__(self, cameras: Cameras, *, keeps_photos: bool) -> None:
        self.recent = Recent(keeps_photos=keeps_photos)
        self.cameras = cameras
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    def seen(self, seen: Seen) -> None:
        """Take a new inspection in."""
        self.recent.keep(seen)
        self._publish(entry_of_inspection(seen.inspection))

    def answered(self, record: RequestRecord) -> None:
        """Take in a photo that got no verdict. Others are known from `seen`."""
        if record.verdict != INVALID:
            return
        if record.code in _STRANGERS:
            if record.code in _WRONG_KEY and record.method == "POST":
                self.cameras.note_refused_key()
            return
        known = self.recent.entry(record.id)
        if known is None:
            self._publish(entry_of_refusal(record))
        elif known.kind != "invalid":
            # It was read in the archive before its verdict was taken back there.
            self._publish(replace(entry_of_refusal(record), has_picture=known.has_picture))

    def add_older(self, entries: list[Entry]) -> None:
        """Take in what the archive knows from before the start, the newest first."""
        new = [entry for entry in entries if self.recent.entry(entry.id) is None]
        self.recent.add_older(new)
        self.cameras.take_older(new)

    @contextmanager
    def subscribe(self) -> Iterator[Subscription | None]:
        """Hear of what happens from now on; None when too many boards are open."""
        if len(self._subscriptions) >= MOST_BOARDS:
            yield None
            return
        subscription = Subscription()
        self._subscriptions.add(subscription)
        if self._closed:
            subscription.end()
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def snapshot(self) -> dict[str, Any]:
        """All that a board needs to begin with."""
        return {
            "entries": [
                {**entry.as_json(), "line": self.cameras.line_of(entry)}
                for entry in self.recent.entries[:SHOWN_ENTRIES]
            ],
            "cameras": [self.cameras.as_json(name) for name in self.cameras.names()],
        }

    def close(self) -> None:
        """Let every board go, and those that still come: the service is about to end."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.end()

    def _publish(self, entry: Entry) -> None:
        self.recent.add(entry)
        name = self.cameras.take(entry)
        if self._subscriptions:
            told = {"entry": entry.as_json(), "camera": self.cameras.as_json(name)}
            event = as_event("inspection", told)
            for subscription in self._subscriptions:
                subscription.tell(event)


def as_event(name: str, value: Any) -> bytes:
    """A server-sent event (WHATWG HTML, 9.2) with JSON in it."""
    return f"event: {name}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n".encode()
