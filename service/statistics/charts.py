"""Control charts of the kinds that Shewhart began with, as in Montgomery.

W. A. Shewhart, "Economic Control of Quality of Manufactured Product" (1931): limits at three sigma.
D. C. Montgomery, "Introduction to Statistical Quality Control", 7th ed. (2013): the p-chart for samples of
varying size (7.2.2), the chart of individual measurements with its moving range (6.4), eight in a row on one
side of the centre (table 5.1, after Western Electric), limits of a stated probability (5.3.2).
D. B. Laney, "Improved control charts for attributes", Quality Engineering 14 (2002): a p-chart of large
samples alarms at nothing, unless what varies between samples is taken into its limits.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Literal

Signal = Literal["above", "below", "run above", "run below"]

SIGMAS = 3.0
# Of the range of two, in units of the standard deviation.
_D2 = 2 / math.sqrt(math.pi)
# Fewer give no limits; with fewer than ENOUGH they are trial limits.
FEWEST = 8
ENOUGH = 20
_RUN = 8
_ROUNDING = 1e-12
# How often a normal distribution lies above three sigma.
_BEYOND = 0.00135
# Where fewer rejects are expected, their number is so skewed that more of them lie above three sigma, and
# most lie below their mean: a run on that side is nothing unusual.
_SKEWED = 5.0


@dataclass(frozen=True)
class Point:
    """One value of a chart with the limits that hold for it.

    Attributes:
        value: None where there were too few to tell.
        low, high: None without limits, or without a value.
        signal: how it is out of control; None where it is not, or nothing can be said.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    signal: Signal | None = None


@dataclass(frozen=True)
class Chart:
    """A control chart; `centre` is None where too few values give no limits."""

    centre: float | None
    points: tuple[Point, ...]

    @property
    def usable(self) -> int:
        """How many points have a value."""
        return sum(point.value is not None for point in self.points)

    @property
    def on_trial(self) -> bool:
        """Whether the limits rest on fewer values than one should rely on."""
        return self.centre is not None and self.usable < ENOUGH


def share_chart(counts: Sequence[int], totals: Sequence[int], least: int) -> Chart:
    """A p-chart of shares `counts / totals`, with Laney's correction where they vary more than by chance.

    Args:
        least: with a total below it there is no value.
    """
    shares = [count / total if total >= least else None for count, total in zip(counts, totals, strict=True)]

    def limits_of(known: Sequence[int]) -> _Limits:
        total = sum(totals[at] for at in known)
        centre = sum(counts[at] for at in known) / total
        deviations = [math.sqrt(centre * (1.0 - centre) / each) if each else 0.0 for each in totals]
        spread = 1.0
        if 0.0 < centre < 1.0:
            own = [counts[at] / totals[at] for at in known]
            scores = [(value - centre) / deviations[at] for value, at in zip(own, known, strict=True)]
            spread = max(1.0, _sigma(scores))
        low, high = [], []
        for total, deviation in zip(totals, deviations, strict=True):
            width = SIGMAS * spread * deviation
            low.append(min(centre - width, 1.0 - _chance(1.0 - centre, total)))
            high.append(max(centre + width, _chance(centre, total)))
        return _Limits(centre, low, high, [n * min(centre, 1.0 - centre) >= _SKEWED for n in totals])

    return _chart(shares, limits_of)


def individuals_chart(values: Sequence[float | None]) -> Chart:
    """A chart of individual values in 0..1, its limits from the moving range of two."""

    def limits_of(known: Sequence[int]) -> _Limits:
        own = [value for at in known if (value := values[at]) is not None]
        centre, width = fmean(own), SIGMAS * _sigma(own)
        every = len(values)
        return _Limits(centre, [centre - width] * every, [centre + width] * every, [True] * every)

    return _chart(values, limits_of)


@dataclass(frozen=True)
class _Limits:
    """The centre; the limits of each point, and whether it may be part of a run."""

    centre: float
    low: list[float]
    high: list[float]
    runs: list[bool]

    def hold(self, at: int, value: float | None) -> bool:
        """Whether the value of a point lies within its limits."""
        return value is not None and self.low[at] - _ROUNDING <= value <= self.high[at] + _ROUNDING


def _chance(share: float, total: int) -> float:
    """The share that a sample exceeds by chance no more often than three sigma, where counts are small.

    `share` is that of the whole; 0 where three sigma do as well.
    """
    if total == 0 or total * share >= _SKEWED or not 0.0 < share < 1.0:
        return 0.0
    count, probability = 0, (1.0 - share) ** total
    reached = probability
    while reached < 1.0 - _BEYOND and count < total:
        probability *= (total - count) / (count + 1) * share / (1.0 - share)
        count += 1
        reached += probability
    return count / total


def _chart(values: Sequence[float | None], limits_of: Callable[[Sequence[int]], _Limits]) -> Chart:
    """Judge values by limits that they give themselves; `limits_of` takes the places of those that count.

    What lies beyond the limits does not belong to the process that they are to describe: it is left out, and
    they are taken anew (Montgomery, 6.2, on trial limits), as long as enough is left.
    """
    known = [at for at, value in enumerate(values) if value is not None]
    if len(known) < FEWEST:
        return Chart(None, tuple(Point(value) for value in values))
    while True:
        limits = limits_of(known)
        inside = [at for at in known if limits.hold(at, values[at])]
        if len(inside) == len(known) or len(inside) < FEWEST:
            return _judged(values, limits)
        known = inside


def _sigma(values: Sequence[float]) -> float:
    """The standard deviation of values in their order, from the mean of their moving range."""
    return fmean(abs(b - a) for a, b in pairwise(values)) / _D2


def _judged(values: Sequence[float | None], limits: _Limits) -> Chart:
    points = []
    run, side = 0, 0
    for at, value in enumerate(values):
        if value is None:
            points.append(Point(None))
            continue
        low, high = max(0.0, limits.low[at]), min(1.0, limits.high[at])
        now = (value > limits.centre + _ROUNDING) - (value < limits.centre - _ROUNDING)
        now = now if limits.runs[at] else 0
        run = run + 1 if now == side and now != 0 else abs(now)
        side = now
        points.append(Point(value, low, high, _signal(value, low, high, run, side)))
    return Chart(limits.centre, tuple(points))


def _signal(value: float, low: float, high: float, run: int, side: int) -> Signal | None:
    if value > high + _ROUNDING:
        return "above"
    if value < low - _ROUNDING:
        return "below"
    if run >= _RUN:
        return "run above" if side > 0 else "run below"
    return None
