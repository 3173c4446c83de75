"""A histogram of scores with their limits: one kind of photos upwards, another downwards."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from models.svg import Axis, Frame, bar, line, round_ticks, text, upright

_BINS = 40
# A score without an upper end: whatever lies beyond this many limits goes into the last bar.
_FARTHEST = 4.0

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mark:
    """A limit: where it is, what stands beside it, and the class of its line."""

    value: float
    label: str
    style: str = "limit"


@dataclass(frozen=True)
class Histogram:
    """The picture; what lies beyond `high` is in its last bar."""

    svg: Markup
    high: float


def histogram(
    above: Sequence[float] | Scores,
    below: Sequence[float] | Scores,
    marks: Sequence[Mark],
    *,
    axis: str,
    sides: tuple[str, str],
    high: float | None,
    description: str,
    counts: str = "photos (square-root scale)",
) -> Histogram:
    """Draw it; together both kinds hold one score at least.

    Args:
        above, below: scores [N] and [M], of which the bars go up and down.
        marks: the limits; no bar straddles the first one.
        axis: what the score is called.
        sides: what the two kinds are called.
        high: the end of a score that begins at 0; None for one without an end.
        description: read out to those who cannot see it.
        counts: what the bars count.
    """
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    scores = np.concatenate([above, below])
    low, end = (0.0, high) if high is not None else _range(scores, [mark.value for mark in marks])
    edges = _edges(low, end, marks[0].value)
    up, down = (np.histogram(np.clip(x, low, np.nextafter(end, low)), edges)[0] for x in (above, below))
    frame = Frame(Axis(low, end, round_ticks(low, end), axis), _count_axis(up, down, counts))
    drawn = []
    for left, right, n_up, n_down in zip(edges[:-1], edges[1:], up, down, strict=True):
        if n_up:
            drawn.append(bar(frame, left, right, 0.0, math.sqrt(n_up), "bar-good"))
        if n_down:
            drawn.append(bar(frame, left, right, 0.0, -math.sqrt(n_down), "bar-defective"))
    drawn.append(line(frame, [low, end], [0.0, 0.0], "middle"))
    # The first one's label is not to be crossed by the lines of the others.
    drawn += [
        upright(frame, mark.value, mark.label, style=mark.style, row=row)
        for row, mark in reversed(list(enumerate(marks)))
    ]
    drawn += [
        text(frame.px(low), 18, f"\u25b2 {sides[0]}", style="note good"),
        text(frame.px(low) + 24 + 7 * len(sides[0]) + 14, 18, f"\u25bc {sides[1]}", style="note defective"),
    ]
    return Histogram(frame.draw(drawn, description), end)


def _range(scores: Scores, limits: Sequence[float]) -> tuple[float, float]:
    low = 0.95 * min(float(scores.min()), *limits)
    farthest = max(limits)
    return low, max(1.15 * farthest, min(1.02 * float(scores.max()), _FARTHEST * farthest))


def _edges(low: float, high: float, limit: float) -> Scores:
    """Edges of about `_BINS` bars, one of them the limit itself, so that no bar straddles it."""
    step = (high - low) / _BINS
    steps = np.arange(-math.floor((limit - low) / step), math.floor((high - limit) / step) + 1)
    inner = limit + step * steps
    return np.unique(np.concatenate(([low], inner[(inner > low) & (inner < high)], [high])))


def _count_axis(above: npt.NDArray[np.int64], below: npt.NDArray[np.int64], title: str) -> Axis:
    """Counts on a square-root scale, on which a single photo beside hundreds can still be seen."""
    most_above, most_below = max(1, int(above.max())), max(1, int(below.max()))
    low, high = -1.1 * math.sqrt(most_below), 1.1 * math.sqrt(most_above)
    candidates = [m * 10**power for power in range(6) for m in (1, 2, 5)]
    ticks: list[tuple[float, str]] = [(0.0, "0")]
    for sign, most in ((1.0, most_above), (-1.0, most_below)):
        last = 0.0
        for count in candidates:
            place = math.sqrt(count)
            if count <= most and place - last > 0.07 * (high - low):
                ticks.append((sign * place, str(count)))
                last = place
    return Axis(low, high, tuple(ticks), title)
