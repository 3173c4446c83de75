"""The events of one open board, as a stream that says at intervals that it lives."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from service.station.feed import Feed, as_event

BEAT_SECONDS = 2.0
_RETRY_MS = 1000


async def board_events(
    feed: Feed, status: Callable[[], dict[str, Any]], hello: dict[str, Any], may_look: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """A snapshot, then what happens, and a beat every `BEAT_SECONDS`.

    A board that is too slow for what happens gets a snapshot instead. The stream ends with the service, and
    when `may_look`, asked at each beat, says no.
    """
    yield f"retry: {_RETRY_MS}\n\n".encode()
    with feed.subscribe() as subscription:
        if subscription is None:
            yield as_event("full", {})
            return
        yield as_event("snapshot", {**hello, **feed.snapshot(), "status": status()})
        due = time.monotonic() + BEAT_SECONDS
        while not subscription.ended:
            events = await subscription.wait(max(0.0, due - time.monotonic()))
            if subscription.behind:
                subscription.drain()
                subscription.behind = False
                events = as_event("snapshot", {**hello, **feed.snapshot(), "status": status()})
            if time.monotonic() >= due:
                if not may_look():
                    return
                due = time.monotonic() + BEAT_SECONDS
                events += as_event("beat", status())
            if events:
                yield events
