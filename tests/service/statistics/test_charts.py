"""Control charts: Shewhart's limits, and what is out of control."""

import math
import random
from itertools import pairwise

import pytest

from service.statistics.charts import Chart, Point, individuals_chart, share_chart


def signals(chart: Chart) -> list[str | None]:
    return [point.signal for point in chart.points]


def test_the_limits_of_a_share_are_three_sigma_of_its_own_sample() -> None:
    counts, totals = [10, 12, 8, 11, 9, 10, 9, 11], [200, 200, 200, 200, 200, 200, 200, 100]
    chart = share_chart(counts, totals, 20)
    centre = sum(counts) / sum(totals)
    assert chart.centre == pytest.approx(centre)
    for point, total in zip(chart.points, totals, strict=True):
        width = 3 * math.sqrt(centre * (1 - centre) / total)
        assert (point.low, point.high) == pytest.approx((max(0.0, centre - width), centre + width))
    assert chart.points[-1].high > chart.points[0].high


def test_a_share_beyond_its_limits_signals() -> None:
    usual = [9, 13, 11, 14, 10, 15, 12, 14, 11, 13, 16, 12]
    chart = share_chart([*usual[:6], 45, *usual[6:]], [200] * 13, 20)
    assert signals(chart) == [None] * 6 + ["above"] + [None] * 6
    assert chart.on_trial
    better = share_chart([*(100 - each for each in usual), 40], [200] * 13, 20)
    assert signals(better)[-1] == "below"


def test_limits_widen_where_shares_vary_more_than_by_chance() -> None:
    """Laney: with tens of thousands of parts, a plain p-chart alarms at each."""
    chance = random.Random(1)
    totals = [50_000] * 40
    counts = [round(total * min(1, max(0, chance.gauss(0.05, 0.01)))) for total in totals]
    plain = 3 * math.sqrt(0.05 * 0.95 / 50_000)
    assert sum(abs(count / 50_000 - 0.05) > plain for count in counts) > 20
    assert [
        signal for signal in signals(share_chart(counts, totals, 20)) if signal in ("above", "below")
    ] == []


def test_individuals_have_limits_from_their_moving_range() -> None:
    """Montgomery, 6.4: three sigma are 2.66 times the mean moving range."""
    values = [0.30, 0.34, 0.31, 0.33, 0.30, 0.32, 0.35, 0.31, 0.33]
    chart = individuals_chart(values)
    ranges = [abs(b - a) for a, b in pairwise(values)]
    width = 2.66 * sum(ranges) / len(ranges)
    centre = sum(values) / len(values)
    assert chart.points[0].high == pytest.approx(centre + width, abs=1e-4)
    assert chart.points[0].low == pytest.approx(centre - width, abs=1e-4)
    assert set(signals(chart)) == {None}
    assert signals(individuals_chart([*values, 0.9]))[-1] == "above"


def test_what_is_beyond_the_limits_does_not_widen_them() -> None:
    usual = [0.30, 0.34, 0.31, 0.33, 0.30, 0.32, 0.35, 0.31, 0.33]
    disturbed = individuals_chart([*usual[:5], 0.9, 0.95, *usual[5:]])
    alone = individuals_chart(usual)
    assert disturbed.centre == pytest.approx(alone.centre)
    assert disturbed.points[0].high == pytest.approx(alone.points[0].high)
    assert [number for number, signal in enumerate(signals(disturbed)) if signal] == [5, 6]


def test_eight_in_a_row_on_one_side_signal_from_the_eighth_on() -> None:
    values = [0.50, 0.52] * 10 + [0.53] * 9
    found = signals(individuals_chart(values))
    above = [value > sum(values) / len(values) for value in values]
    assert above[-10:] == [True] * 10
    assert found[-10:] == [None] * 7 + ["run above"] * 3


def test_too_few_points_have_no_limits_and_too_few_parts_no_value() -> None:
    chart = share_chart([1] * 7, [50] * 7, 20)
    assert chart.centre is None
    assert {(point.low, point.high, point.signal) for point in chart.points} == {(None, None, None)}
    with_gap = share_chart([1] * 9, [50] * 4 + [19] + [50] * 4, 20)
    assert [point.value is None for point in with_gap.points] == [False] * 4 + [True] + [False] * 4
    assert with_gap.points[4] == Point(None), "limits of 19 parts would stretch the scale of all others"
    assert share_chart([1] * 9, [50] * 4 + [0] + [50] * 4, 20).points[4] == Point(None)
    assert with_gap.usable == 8
    assert with_gap.centre == pytest.approx(8 / 400)


@pytest.mark.parametrize(("count", "share"), [(0, 0.0), (50, 1.0)])
def test_a_line_without_a_reject_or_without_a_good_part_is_in_control(count: int, share: float) -> None:
    chart = share_chart([count] * 10, [50] * 10, 20)
    assert chart.centre == share
    assert set(signals(chart)) == {None}
    assert share_chart([], [], 20).points == ()
    assert set(signals(individuals_chart([0.3] * 12))) == {None}


def in_control(parts: int, share: float) -> list[str]:
    """Signals of 40 charts of 100 samples of a line that does not change."""
    chance = random.Random(parts)
    found = []
    for _ in range(40):
        counts = [sum(chance.random() < share for _ in range(parts)) for _ in range(100)]
        found += [signal for signal in signals(share_chart(counts, [parts] * 100, 20)) if signal]
    return found


@pytest.mark.parametrize(("parts", "share"), [(20, 0.005), (25, 0.02), (50, 0.002)])
def test_a_line_that_hardly_rejects_does_not_alarm_at_nothing(parts: int, share: float) -> None:
    """Three sigma and runs of eight take counts for symmetric: they would alarm at 5 to 20 % of these."""
    assert len(in_control(parts, share)) < 0.002 * 4000


def test_few_rejects_still_signal_when_they_are_too_many() -> None:
    counts = [0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 5]
    chart = share_chart(counts, [50] * 13, 20)
    assert signals(chart) == [None] * 12 + ["above"]
    good = share_chart([50 - count for count in counts], [50] * 13, 20)
    assert signals(good) == [None] * 12 + ["below"]
