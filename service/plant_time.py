"""The plant's own time: its zone, and when its shifts begin."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Unit = Literal["hour", "shift", "day"]
UNITS: tuple[Unit, ...] = get_args(Unit)

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_START = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class PlantTime:
    """A zone and the local times at which shifts begin, rising; no shifts where none were set.

    Days and shifts begin by the clock on the wall: where the clock changes, they are an hour longer or
    shorter. Hours are always hours.
    """

    zone: tzinfo
    zone_name: str
    shifts: tuple[time, ...] = ()

    @property
    def shift_names(self) -> tuple[str, ...]:
        """The shifts by the time at which they begin: `06:00`."""
        return tuple(f"{start:%H:%M}" for start in self.shifts)

    def local(self, moment: datetime) -> datetime:
        """The same moment by the plant's clock."""
        return moment.astimezone(self.zone)

    def starts(self, unit: Unit, since: datetime, until: datetime) -> list[datetime]:
        """When the hours, shifts or days begin that cover the time from `since` to `until`; UTC, rising.

        The first one holds `since`, the last one lies before `until`. Without shifts, they are days.
        """
        if unit == "hour":
            return self._hours(since, until)
        times = self.shifts if unit == "shift" and self.shifts else (time(0),)
        return [start for start, _ in self._begun(times, since, until)]

    def shift_starts(self, since: datetime, until: datetime) -> list[tuple[datetime, str]]:
        """As `starts`, of shifts, with their names; empty where no shifts were set."""
        return [(start, f"{by_clock:%H:%M}") for start, by_clock in self._begun(self.shifts, since, until)]

    def _begun(self, times: Iterable[time], since: datetime, until: datetime) -> list[tuple[datetime, time]]:
        # A shift may have begun the day before; no clock is changed by as much as a day.
        date, last = self.local(since).date() - _DAY, self.local(until).date()
        found: dict[datetime, time] = {}
        while date <= last:
            for start in times:
                found[datetime.combine(date, start, self.zone).astimezone(UTC)] = start
            date += _DAY
        rising = sorted(found.items())
        following = [start for start, _ in rising[1:]]
        return (
            [
                each
                for each, after in zip(rising, [*following, until], strict=True)
                if after > since and each[0] < until
            ]
            if rising
            else []
        )

    def _hours(self, since: datetime, until: datetime) -> list[datetime]:
        local = self.local(since)
        into = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        start, found = (since - into).astimezone(UTC), []
        while start < until:
            found.append(start)
            start += _HOUR
        return found


def read_shifts(text: str) -> tuple[time, ...]:
    """Read `06:00,14:00,22:00`; empty text is no shifts.

    Raises:
        ValueError: naming what is no time, or comes twice.
    """
    entries = [entry.strip() for entry in text.split(",")] if text.strip() else []
    for entry in entries:
        if not _START.fullmatch(entry):
            raise ValueError(f"{entry!r} is no time such as 06:00")
    if len(set(entries)) != len(entries):
        raise ValueError("two shifts begin at the same time")
    return tuple(time.fromisoformat(entry) for entry in sorted(entries))


def read_zone(name: str) -> tzinfo:
    """The zone of this IANA name, such as `Europe/Berlin`.

    Raises:
        ValueError: when there is no such zone on this machine.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            "this machine knows no zone of that name; use one such as Europe/Berlin, or install tzdata"
        ) from None
