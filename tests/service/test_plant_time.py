"""Hours, shifts and days by the plant's clock, also where it changes."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from service.errors import SettingsError
from service.plant_time import PlantTime, read_shifts, read_zone
from service.settings import Settings

SHIFTS = "06:00,14:00,22:00"


def plant(shifts: str = SHIFTS, zone: str = "Europe/Berlin") -> PlantTime:
    return PlantTime(read_zone(zone), zone, read_shifts(shifts))


def clock(plant: PlantTime, moments: list[datetime]) -> list[str]:
    return [f"{plant.local(moment):%d %H:%M}" for moment in moments]


def test_shifts_begin_by_the_clock_on_the_wall_on_both_days_of_its_change() -> None:
    spring = datetime(2026, 3, 28, 20, tzinfo=UTC)
    starts = plant().starts("shift", spring, spring + timedelta(days=1))
    assert clock(plant(), starts) == ["28 14:00", "28 22:00", "29 06:00", "29 14:00"]
    assert starts[2] - starts[1] == timedelta(hours=7)
    autumn = datetime(2026, 10, 24, 20, tzinfo=UTC)
    starts = plant().starts("shift", autumn, autumn + timedelta(days=1))
    assert clock(plant(), starts) == ["24 22:00", "25 06:00", "25 14:00"]
    assert starts[1] - starts[0] == timedelta(hours=9)


def test_days_are_23_and_25_hours_long_then() -> None:
    for begin, hours in (
        (datetime(2026, 3, 29, 6, tzinfo=UTC), 23),
        (datetime(2026, 10, 25, 6, tzinfo=UTC), 25),
    ):
        first, second = plant().starts("day", begin, begin + timedelta(days=1))
        assert second - first == timedelta(hours=hours)
        assert clock(plant(), [first])[0].endswith("00:00")


def test_hours_are_always_hours() -> None:
    begin = datetime(2026, 10, 25, 0, 20, tzinfo=UTC)
    starts = plant().starts("hour", begin, begin + timedelta(hours=3))
    assert clock(plant(), starts) == ["25 02:00", "25 02:00", "25 03:00", "25 04:00"]
    assert {later - earlier for earlier, later in pairwise(starts)} == {timedelta(hours=1)}
    nepal = plant(zone="Asia/Kathmandu")
    assert clock(nepal, nepal.starts("hour", begin, begin + timedelta(minutes=1))) == ["25 06:00"]


@pytest.mark.parametrize(
    ("hour", "minute", "shift"), [(6, 0, "06:00"), (13, 59, "06:00"), (14, 0, "14:00"), (3, 0, "22:00")]
)
def test_a_shift_goes_by_when_it_begins(hour: int, minute: int, shift: str) -> None:
    moment = datetime(2026, 7, 1, hour, minute, tzinfo=read_zone("Europe/Berlin"))
    assert [name for _, name in plant().shift_starts(moment, moment + timedelta(seconds=1))] == [shift]


def test_a_start_that_the_clock_skips_keeps_its_name() -> None:
    night = plant("02:30,14:00")
    begin = datetime(2026, 3, 29, 0, 0, tzinfo=UTC)
    found = night.shift_starts(begin, begin + timedelta(hours=6))
    assert [(clock(night, [start]), name) for start, name in found] == [
        (["28 14:00"], "14:00"),
        (["29 03:30"], "02:30"),
    ]


def test_without_shifts_a_shift_is_a_day() -> None:
    begin = datetime(2026, 7, 1, 12, tzinfo=UTC)
    none = plant("")
    assert none.starts("shift", begin, begin + timedelta(days=2)) == none.starts(
        "day", begin, begin + timedelta(days=2)
    )
    assert none.shift_starts(begin, begin + timedelta(days=2)) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"shifts": "6:00"}, "'6:00' is no time such as 06:00"),
        ({"shifts": "06:00,25:00"}, "'25:00' is no time"),
        ({"shifts": "06:00,,14:00"}, "'' is no time"),
        ({"shifts": "06:00,14:00,06:00"}, "two shifts begin at the same time"),
        ({"time_zone": "Berlin"}, "no zone of that name"),
        ({"time_zone": "../etc/passwd"}, "no zone of that name"),
        ({"time_zone": ""}, "no zone of that name"),
    ],
)
def test_what_is_no_time_or_zone_is_named(given: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as error:
        Settings.of(**given)
    assert f"GLINT_{next(iter(given)).upper()}" in error.value.remedy


def test_shifts_may_stand_in_any_order() -> None:
    assert Settings.of(shifts=" 22:00, 06:00").plant_time.shift_names == ("06:00", "22:00")
