"""How the line ran, hour by hour, shift by shift or day by day, and who made how many rejects."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from models.decision import INVALID
from service.plant_time import PlantTime, Unit
from service.statistics.charts import Chart, individuals_chart, share_chart
from service.statistics.question import DIMENSIONS, MOST_BUCKETS, Dimension, Question
from service.statistics.reading import Mask, Read, is_reject

# Fewer inspections in an hour, shift or day tell nothing of it.
FEWEST_IN_BUCKET = 20
_UPPER = 0.9
_POSITIONS: dict[Dimension, int] = {"part": 0, "camera": 1, "version": 2}


@dataclass(frozen=True)
class Bucket:
    """An hour, shift or day, or what of it was asked for.

    Attributes:
        begin, end: UTC; `end` is not included.
        shift: the one it begins in; empty where no shifts were set.
        inspected: with a verdict.
        invalid: without one; they count for nothing else here.
        median, upper: of the scores, 0..1: half, and nine in ten, lie below; None without any.
    """

    begin: datetime
    end: datetime
    shift: str
    inspected: int
    rejects: int
    invalid: int
    median: float | None
    upper: float | None


@dataclass(frozen=True)
class Group:
    """What was counted of a part, camera, shift or version; an empty name is that of no camera or shift."""

    name: str
    inspected: int
    rejects: int
    invalid: int

    @property
    def rate(self) -> float | None:
        """The share of rejects, 0..1; None without any inspection."""
        return self.rejects / self.inspected if self.inspected else None


@dataclass(frozen=True)
class Trend:
    """The line over time.

    Attributes:
        since: the first moment that counts; None for the beginning.
        shortened: there was more than can be read or shown, and older inspections were left out.
        rejects, median, upper: control charts, a point for each bucket.
        groups: the same inspections by part, camera, shift and version.
        choices: the names that the period has, whatever was asked for.
    """

    by: Unit
    since: datetime | None
    shortened: bool
    buckets: tuple[Bucket, ...]
    rejects: Chart
    median: Chart
    upper: Chart
    groups: dict[Dimension, list[Group]]
    choices: dict[Dimension, list[str]]

    @property
    def charts(self) -> dict[str, Chart]:
        """The charts by name."""
        return {"rejects": self.rejects, "median": self.median, "upper": self.upper}


@dataclass(frozen=True)
class _Slice:
    """A stretch of time that lies within one bucket and one shift: a range of what was read."""

    bucket: int
    shift: str
    first: int
    last: int


@dataclass(frozen=True)
class _Span:
    """From when to when, and when the buckets in between begin; shortened if that is less than was asked."""

    since: datetime
    until: datetime
    starts: tuple[datetime, ...]
    shortened: bool


def chosen_of(found: Read, question: Question, plant: PlantTime, now: datetime) -> tuple[Mask, bool]:
    """Which inspections are asked for, bool [N], and whether that is less than what was asked for."""
    span = _span(found, question, plant, now)
    return _chosen(found, question, _slices(found, plant, span)), span.shortened


def trend_of(found: Read, question: Question, plant: PlantTime, now: datetime) -> Trend:
    """Count what was read, as it was asked for."""
    span = _span(found, question, plant, now)
    slices = _slices(found, plant, span)
    chosen = _chosen(found, question, slices)
    buckets = _buckets(found, chosen, span, slices, question)
    totals = [bucket.inspected for bucket in buckets]
    judged = [bucket if bucket.inspected >= FEWEST_IN_BUCKET else None for bucket in buckets]
    return Trend(
        by=question.by,
        since=span.since if question.since is not None or span.shortened else None,
        shortened=span.shortened,
        buckets=buckets,
        rejects=share_chart([bucket.rejects for bucket in buckets], totals, FEWEST_IN_BUCKET),
        median=individuals_chart([each.median if each else None for each in judged]),
        upper=individuals_chart([each.upper if each else None for each in judged]),
        groups=_groups(found, chosen, slices),
        choices=_choices(found, plant),
    )


def _span(found: Read, question: Question, plant: PlantTime, now: datetime) -> _Span:
    until = min(question.until or now, now) + timedelta(microseconds=question.until is None)
    oldest = found.oldest
    # What came before the first inspection is no bucket.
    since = max(question.since, oldest) if question.since and oldest else question.since or oldest or until
    if oldest is None or not oldest < until or not since < until:
        return _Span(min(since, until), until, (), shortened=False)
    unit = timedelta(hours=1) if question.by == "hour" else timedelta(days=1)
    earliest = until - (MOST_BUCKETS + 1) * unit
    missed = found.cut and (question.since is None or question.since < oldest)
    shortened = missed or since < earliest
    since = max(since, earliest)
    starts = plant.starts(question.by, since, until)
    if len(starts) > MOST_BUCKETS:
        starts, shortened = starts[-MOST_BUCKETS:], True
        since = max(since, starts[0])
    return _Span(since, until, tuple(starts), shortened)


def _slices(found: Read, plant: PlantTime, span: _Span) -> list[_Slice]:
    if not span.starts:
        return []
    shifts = dict(plant.shift_starts(span.since, span.until))
    edges = sorted({*span.starts, *shifts})
    ends = [*edges[1:], span.until]
    places = found.places_of([max(edges[0], span.since), *(max(end, span.since) for end in ends)])
    # An hour may begin before the shift that was asked from: nothing of the shift before it counts.
    slices, bucket, shift = [], 0, next(iter(shifts.values()), "")
    for begin, first, last in zip(edges, places, places[1:], strict=False):
        shift = shifts.get(begin, shift)
        while bucket + 1 < len(span.starts) and span.starts[bucket + 1] <= begin:
            bucket += 1
        slices.append(_Slice(bucket, shift, first, last))
    return slices


def _chosen(found: Read, question: Question, slices: Sequence[_Slice]) -> Mask:
    asked = _in_shift(found, slices, question.shift)
    for dimension, position in _POSITIONS.items():
        value = getattr(question, dimension)
        if value is not None:
            asked &= found.having(position, value)
    return asked


def _in_shift(found: Read, slices: Sequence[_Slice], shift: str | None) -> Mask:
    inside = np.zeros(len(found.codes), np.bool_)
    for each in slices:
        if shift is None or each.shift == shift:
            inside[each.first : each.last] = True
    return inside


def _buckets(
    found: Read, chosen: Mask, span: _Span, slices: Sequence[_Slice], question: Question
) -> tuple[Bucket, ...]:
    if not span.starts:
        return ()
    rejects, invalid = found.rejects(), found.invalid()
    buckets = []
    for number, (begin, end) in enumerate(zip(span.starts, [*span.starts[1:], span.until], strict=True)):
        own = [each for each in slices if each.bucket == number]
        place = np.s_[own[0].first : own[-1].last]
        here = chosen[place]
        counted = here & ~invalid[place]
        scores = found.scores[place][counted & ~np.isnan(found.scores[place])]
        median, upper = np.quantile(scores, (0.5, _UPPER)).tolist() if len(scores) else (None, None)
        inspected = int(counted.sum())
        if question.shift is not None and not here.any():
            continue  # It lies in another shift.
        buckets.append(
            Bucket(
                begin=begin,
                end=end,
                shift=own[0].shift if question.by != "day" else "",
                inspected=inspected,
                rejects=int((counted & rejects[place]).sum()),
                invalid=int(here.sum()) - inspected,
                median=median,
                upper=upper,
            )
        )
    return tuple(buckets)


def _groups(found: Read, chosen: Mask, slices: Sequence[_Slice]) -> dict[Dimension, list[Group]]:
    counts: dict[Dimension, dict[str, Counter[str]]] = {each: {} for each in DIMENSIONS}
    for dimension, position in _POSITIONS.items():
        for names, count in zip(found.names, _counts(found, chosen), strict=True):
            counts[dimension].setdefault(names[position], Counter())[names[3]] += count
    for shift in sorted({each.shift for each in slices}):
        own = chosen & _in_shift(found, slices, shift)
        verdicts = counts["shift"].setdefault(shift, Counter())
        for names, count in zip(found.names, _counts(found, own), strict=True):
            verdicts[names[3]] += count
    return {
        dimension: [_group(name, verdicts) for name, verdicts in sorted(named.items()) if verdicts.total()]
        for dimension, named in counts.items()
    }


def _counts(found: Read, chosen: Mask) -> list[int]:
    """How many of the chosen have each of the names."""
    counted: list[int] = np.bincount(found.codes[chosen], minlength=len(found.names)).tolist()
    return counted


def _group(name: str, verdicts: Counter[str]) -> Group:
    rejects = sum(count for verdict, count in verdicts.items() if is_reject(verdict))
    inspected = verdicts.total() - verdicts[INVALID]
    return Group(name, inspected, rejects, verdicts[INVALID])


def _choices(found: Read, plant: PlantTime) -> dict[Dimension, list[str]]:
    named: dict[Dimension, list[str]] = {
        dimension: sorted({names[position] for names in found.names})
        for dimension, position in _POSITIONS.items()
    }
    return {**named, "shift": list(plant.shift_names)}
