"""What the station's routes share, as `app.state.station`."""

import asyncio
import logging
from dataclasses import dataclass, field

from service.access.brake import SignInBrake
from service.access.sessions import Sessions
from service.errors import ServiceError
from service.station.alarms import Alarms
from service.station.cameras import WINDOW
from service.station.feed import Feed
from service.station.pages import Pages
from service.station.sources import Sources

log = logging.getLogger(__name__)


@dataclass
class Station:
    """The parts of one station; `sessions` are None where the service has no keys."""

    sessions: Sessions | None
    feed: Feed
    alarms: Alarms
    sources: Sources
    pages: Pages = field(default_factory=Pages)
    brake: SignInBrake = field(default_factory=SignInBrake)
    _knows_the_past: bool = False
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look_back(self) -> None:
        """Fill the feed with the newest inspections of the archive, once; tried again if that fails."""
        async with self._asking:
            if self._knows_the_past:
                return
            try:
                entries = await asyncio.to_thread(self.sources.newest, WINDOW)
            except ServiceError as error:
                log.warning("The board begins without the past: %s", error)
                return
            self.feed.add_older(entries)
            self._knows_the_past = True

    def close(self) -> None:
        """Keep what outlives the process."""
        if self.sessions is not None:
            self.sessions.save()
