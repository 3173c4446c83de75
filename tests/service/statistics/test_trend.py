"""How the line ran: what falls into which hour, shift and day, and who made how many rejects."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from service.plant_time import PlantTime, read_shifts, read_zone
from service.statistics.question import MOST_BUCKETS, Question
from service.statistics.reading import Read
from service.statistics.trend import Trend, chosen_of, trend_of

BERLIN = PlantTime(read_zone("Europe/Berlin"), "Europe/Berlin", read_shifts("06:00,18:00"))
BEGIN = datetime(2026, 7, 1, 4, tzinfo=UTC)  # 06:00 by the plant's clock
NAMES = [
    ("bracket", "cam1", "v1", "clean"),
    ("bracket", "cam1", "v1", "scratched"),
    ("bracket", "cam2", "v2", "clean"),
    ("bracket", "", "v2", "invalid"),
    ("cap", "cam2", "v1", "anomalous"),
]


def inspected(rows: Sequence[tuple[float, int, float | None]], *, cut: bool = False) -> Read:
    """Inspections of (hours after BEGIN, which of NAMES, score)."""
    times = [(BEGIN + timedelta(hours=hours)).replace(tzinfo=None) for hours, _, _ in rows]
    return Read(
        np.array(times, "<M8[us]"),
        np.array([name for _, name, _ in rows], np.int32),
        np.array([score for _, _, score in rows], np.float64),
        NAMES,
        cut,
    )


def trend(found: Read, hours: float = 47.9, **asked: object) -> Trend:
    return trend_of(found, Question(**asked), BERLIN, BEGIN + timedelta(hours=hours))


SOME = inspected([(0.1, 0, 0.2), (0.9, 1, 0.9), (1.5, 2, 0.1), (11.9, 3, None), (12.0, 0, 0.4), (30, 4, 0.8)])


def test_each_inspection_lies_in_one_hour_shift_and_day() -> None:
    for by, expected in (
        ("hour", {0: 2, 1: 1, 12: 1, 30: 1}),
        ("shift", {0: 3, 12: 1, 24: 1}),
        ("day", {-6: 4, 18: 1}),
    ):
        found = trend(SOME, by=by)
        counted = {round((each.begin - BEGIN) / timedelta(hours=1)): each.inspected for each in found.buckets}
        assert {hour: count for hour, count in counted.items() if count} == expected
        assert sum(bucket.invalid for bucket in found.buckets) == 1
        assert found.buckets[-1].end == BEGIN + timedelta(hours=47.9, microseconds=1)
    assert [bucket.shift for bucket in trend(SOME, by="shift").buckets] == ["06:00", "18:00"] * 2


def test_shares_and_scores_are_those_of_the_bucket() -> None:
    first, second, third, _ = trend(SOME, by="shift").buckets
    assert (first.inspected, first.rejects, first.invalid) == (3, 1, 1)
    assert (first.median, first.upper) == pytest.approx((0.2, np.quantile([0.1, 0.2, 0.9], 0.9)))
    assert (second.rejects, second.median) == (0, 0.4)
    assert (third.rejects, third.inspected) == (1, 1)
    assert trend(SOME).rejects.points[0].value is None, "too few to tell"


def test_filters_and_groups() -> None:
    groups = {
        name: {g.name: (g.inspected, g.rejects, g.invalid) for g in found}
        for name, found in trend(SOME).groups.items()
    }
    assert groups == {
        "part": {"bracket": (4, 1, 1), "cap": (1, 1, 0)},
        "camera": {"": (0, 0, 1), "cam1": (3, 1, 0), "cam2": (2, 1, 0)},
        "shift": {"06:00": (4, 2, 1), "18:00": (1, 0, 0)},
        "version": {"v1": (4, 2, 0), "v2": (1, 0, 1)},
    }
    for asked, inspections in (
        ({"part": "cap"}, 1),
        ({"camera": "cam1"}, 3),
        ({"camera": ""}, 0),
        ({"version": "v1", "camera": "cam2"}, 1),
        ({"shift": "06:00"}, 4),
        ({"shift": "18:00", "by": "hour"}, 1),
        ({"since": BEGIN + timedelta(hours=1), "until": BEGIN + timedelta(hours=12)}, 1),
        ({"camera": "nobody"}, 0),
    ):
        assert sum(bucket.inspected for bucket in trend(SOME, **asked).buckets) == inspections, asked
    assert trend(SOME, camera="cam1").choices["camera"] == ["", "cam1", "cam2"], "what one may ask for next"


def test_with_a_shift_buckets_of_other_shifts_are_left_out() -> None:
    found = trend(SOME, shift="18:00", by="shift")
    assert [bucket.shift for bucket in found.buckets] == ["18:00"]


def test_a_time_that_begins_just_after_a_shift_does_lies_in_that_shift() -> None:
    plant = PlantTime(BERLIN.zone, BERLIN.zone_name, read_shifts("06:30,18:30"))
    since = BEGIN + timedelta(minutes=45)
    found = trend_of(SOME, Question(by="hour", since=since), plant, BEGIN + timedelta(hours=1.9))
    assert [(bucket.shift, bucket.inspected) for bucket in found.buckets] == [("06:30", 1), ("06:30", 1)]


def test_an_empty_archive_has_no_buckets() -> None:
    found = trend(inspected([]))
    assert (found.buckets, found.since, found.shortened) == ((), None, False)
    assert found.groups == {"part": [], "camera": [], "shift": [], "version": []}


def test_no_more_buckets_than_can_be_seen_and_that_is_said() -> None:
    many = inspected([(hour, 0, 0.2) for hour in range(300)])
    found = trend(many, hours=299.9, by="hour")
    assert len(found.buckets) == MOST_BUCKETS
    assert found.shortened
    assert found.since == found.buckets[0].begin
    assert sum(bucket.inspected for bucket in found.buckets) == MOST_BUCKETS
    chosen, shortened = chosen_of(many, Question(by="hour"), BERLIN, BEGIN + timedelta(hours=299.9))
    assert (int(chosen.sum()), shortened) == (MOST_BUCKETS, True)
    assert not trend(many, hours=299.9, by="day").shortened


def test_what_could_not_be_read_is_said_only_where_it_was_asked_for() -> None:
    cut = inspected([(10, 0, 0.2), (20, 0, 0.2)], cut=True)
    assert trend(cut).shortened
    assert trend(cut, since=BEGIN).shortened
    assert not trend(cut, since=BEGIN + timedelta(hours=15)).shortened


def test_a_bad_hour_is_out_of_control() -> None:
    rows = [
        (hour + part / 60, int(part < 3 + 3 * (hour % 2)), 0.2 + 0.01 * (hour % 3))
        for hour in range(20)
        for part in range(48)
    ]
    rows += [(20 + part / 60, int(part % 2), 0.2) for part in range(48)]
    found = trend(inspected(rows), hours=20.9, by="hour")
    assert [number for number, point in enumerate(found.rejects.points) if point.signal] == [20]
    assert found.rejects.points[20].signal == "above"
    assert {point.signal for point in found.median.points} == {None}
