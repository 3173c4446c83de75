"""Control charts of the kinds that Shewhart began with, as in Montgomery.

W. A. Shewhart, "Economic Control of Quality of Manufactured Product" (1931): limits at three sigma.
D. C. Montgomery, "Introduction to Statistical Quality Control", 7th ed. (2013): the p-chart for samples of
varying size (7.2.2), the chart of individual measurements with its moving range (6.4), eight in a row on one
side of the centre (table 5.1, after Western Electric).
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


@dataclass(frozen=True)
class Point:
    """One value of a chart with the limits that hold for it.

    Attributes:
        value: None where there were too few to tell.
        low, high: None without limits.
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
        return _Limits(centre, [SIGMAS * spread * each for each in deviations])

    return _chart(shares, limits_of)


def individuals_chart(values: Sequence[float | None]) -> Chart:
    """A chart of individual values in 0..1, its limits from the moving range of two."""

    def limits_of(known: Sequence[int]) -> _Limits:
        own = [value for at in known if (value := values[at]) is not None]
        return _Limits(fmean(own), [SIGMAS * _sigma(own)] * len(values))

    return _chart(values, limits_of)


@dataclass(frozen=True)
class _Limits:
    """The centre, and how far from it the limits of each point lie."""

    centre: float
    widths: list[float]


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
        inside = [at for at in known if _is_within(values[at], limits.centre, limits.widths[at])]
        if len(inside) == len(known) or len(inside) < FEWEST:
            return _judged(values, limits.centre, limits.widths)
        known = inside


def _is_within(value: float | None, centre: float, width: float) -> bool:
    return value is not None and abs(value - centre) <= width + _ROUNDING


def _sigma(values: Sequence[float]) -> float:
    """The standard deviation of values in their order, from the mean of their moving range."""
    return fmean(abs(b - a) for a, b in pairwise(values)) / _D2


def _judged(values: Sequence[float | None], centre: float, widths: Sequence[float]) -> Chart:
    points = []
    run, side = 0, 0
    for value, width in zip(values, widths, strict=True):
        low, high = max(0.0, centre - width), min(1.0, centre + width)
        if value is None:
            points.append(Point(None, low, high))
            continue
        now = (value > centre + _ROUNDING) - (value < centre - _ROUNDING)
        run = run + 1 if now == side and now != 0 else abs(now)
        side = now
        points.append(Point(value, low, high, _signal(value, low, high, run, side)))
    return Chart(centre, tuple(points))


def _signal(value: float, low: float, high: float, run: int, side: int) -> Signal | None:
    if value > high + _ROUNDING:
        return "above"
    if value < low - _ROUNDING:
        return "below"
    if run >= _RUN:
        return "run above" if side > 0 else "run below"
    return None
