"""Control charts as the page of numbers draws them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.statistics.charts import Chart, Signal

WIDTH, HEIGHT = 1200.0, 220.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 76.0, 12.0, 12.0, 34.0
_MOST_LABELS = 10
_TICKS = 4
_ROOM = 0.08


@dataclass(frozen=True)
class Mark:
    """A point of the chart, in pixels of the picture; `name` is its time."""

    x: float
    y: float
    name: str
    value: float
    low: float | None
    high: float | None
    signal: Signal | None


@dataclass(frozen=True)
class Drawn:
    """A chart ready to be drawn.

    Attributes:
        line: the values as a path, interrupted where there is none.
        limits: both limits as one path, in steps; empty without limits.
        centre: its height; None without limits.
        marks: every value.
        across, upright: the labels of the axes and their places.
        on_trial: the limits rest on few values.
    """

    line: str
    limits: str
    centre: float | None
    marks: tuple[Mark, ...]
    across: tuple[tuple[float, str], ...]
    upright: tuple[tuple[float, float], ...]
    on_trial: bool

    @property
    def out_of_control(self) -> list[Mark]:
        """The points that signal, the newest first."""
        return [mark for mark in reversed(self.marks) if mark.signal is not None]


def draw(chart: Chart, names: Sequence[str]) -> Drawn:
    """Lay a chart out; `names` are the times of its points."""
    values = [value for point in chart.points for value in (point.value, point.low, point.high)]
    known = [value for value in values if value is not None] or [0.0, 1.0]
    room = max(_ROOM * (max(known) - min(known)), 0.005)
    bottom, top = max(0.0, min(known) - room), min(1.0, max(known) + room)
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(chart.points))

    def x(number: float) -> float:
        return _LEFT + (number + 0.5) * step

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - (value - bottom) / (top - bottom) * (HEIGHT - _TOP - _BOTTOM)

    marks = tuple(
        Mark(x(number), y(point.value), names[number], point.value, point.low, point.high, point.signal)
        for number, point in enumerate(chart.points)
        if point.value is not None
    )
    every = max(1, -(-len(names) // _MOST_LABELS))
    return Drawn(
        line=_line(chart, x, y),
        limits=_steps(chart, step, x, y),
        centre=None if chart.centre is None else y(chart.centre),
        marks=marks,
        across=tuple((x(at), label) for at, label in enumerate(names) if at % every == 0),
        upright=tuple(
            (y(value), value)
            for value in (bottom + (top - bottom) * tick / _TICKS for tick in range(_TICKS + 1))
        ),
        on_trial=chart.on_trial,
    )


def _line(chart: Chart, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    pieces, pen = [], "M"
    for number, point in enumerate(chart.points):
        if point.value is None:
            pen = "M"
            continue
        pieces.append(f"{pen}{x(number):.1f} {y(point.value):.1f}")
        pen = "L"
    return "".join(pieces)


def _steps(chart: Chart, step: float, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    pieces = []
    for side in ("low", "high"):
        pen = "M"
        for number, point in enumerate(chart.points):
            value = getattr(point, side)
            # There is no limit where no value can lie beyond it.
            if value is not None and 0.0 < value < 1.0:
                left, right = x(number) - step / 2, x(number) + step / 2
                pieces.append(f"{pen}{left:.1f} {y(value):.1f}H{right:.1f}")
                pen = "L"
            else:
                pen = "M"
    return "".join(pieces)
