"""Small plots as inline SVG. Colours come from the page's style sheet, so that they follow light and dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 14.0, 28.0, 44.0


@dataclass(frozen=True)
class Axis:
    """One axis: its range, the values that get a tick with their labels, and its title."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    title: str


@dataclass(frozen=True)
class Frame:
    """A rectangle with two axes; `width` and `height` are those of the whole picture in pixels."""

    x: Axis
    y: Axis
    width: float = 460.0
    height: float = 300.0

    def px(self, value: float) -> float:
        """Horizontal place of a value in the picture, kept inside the frame."""
        share = (value - self.x.low) / (self.x.high - self.x.low)
        return _LEFT + min(1.0, max(0.0, share)) * (self.width - _LEFT - _RIGHT)

    def py(self, value: float) -> float:
        """Vertical place of a value in the picture, kept inside the frame."""
        share = (value - self.y.low) / (self.y.high - self.y.low)
        return self.height - _BOTTOM - min(1.0, max(0.0, share)) * (self.height - _TOP - _BOTTOM)

    def draw(self, marks: Sequence[Markup], description: str) -> Markup:
        """The whole picture; `description` is read out to those who cannot see it."""
        head = Markup('<svg viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">').format(
            self.width, self.height, description
        )
        return head + Markup("").join([*self._grid(), *marks, *self._titles()]) + Markup("</svg>")

    def _grid(self) -> list[Markup]:
        top, bottom = _TOP, self.height - _BOTTOM
        left, right = _LEFT, self.width - _RIGHT
        parts = []
        for value, label in self.x.ticks:
            parts.append(_segment("grid", self.px(value), top, self.px(value), bottom))
            parts.append(text(self.px(value), bottom + 15, label, anchor="middle"))
        for value, label in self.y.ticks:
            parts.append(_segment("grid", left, self.py(value), right, self.py(value)))
            parts.append(text(left - 6, self.py(value) + 4, label, anchor="end"))
        parts.append(_segment("axis", left, bottom, right, bottom))
        parts.append(_segment("axis", left, top, left, bottom))
        return parts

    def _titles(self) -> list[Markup]:
        middle = (_TOP + self.height - _BOTTOM) / 2
        turned = Markup('<text x="13" y="{y:.1f}" transform="rotate(-90 13 {y:.1f})"{rest}>{title}</text>')
        rest = Markup(' text-anchor="middle" class="axis-title"')
        centre = (_LEFT + self.width - _RIGHT) / 2
        return [
            text(centre, self.height - 8, self.x.title, anchor="middle", style="axis-title"),
            turned.format(y=middle, rest=rest, title=self.y.title),
        ]


def text(x: float, y: float, label: str, *, anchor: str = "start", style: str = "tick") -> Markup:
    """A line of text at a place in the picture."""
    element = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" class="{}">{}</text>')
    return element.format(x, y, anchor, style, label)


def line(frame: Frame, xs: Sequence[float], ys: Sequence[float], style: str) -> Markup:
    """A line through points."""
    points = " ".join(f"{frame.px(x):.1f},{frame.py(y):.1f}" for x, y in zip(xs, ys, strict=True))
    return Markup('<polyline class="line {}" points="{}"/>').format(style, points)


def dot(frame: Frame, x: float, y: float, label: str) -> Markup:
    """A marked point with its label to the lower right, or to the upper right at the bottom of the frame."""
    left, top = frame.px(x), frame.py(y)
    mark = Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="5"/>').format(left, top)
    near_bottom = top > frame.height - _BOTTOM - 20.0
    return mark + text(left + 9.0, top + (-8.0 if near_bottom else 16.0), label, style="note")


def bar(frame: Frame, left: float, right: float, start: float, end: float, style: str) -> Markup:
    """A bar between two values on x and two on y; never so thin that it cannot be seen."""
    x, width = frame.px(left), max(1.0, frame.px(right) - frame.px(left) - 1.0)
    top, bottom = frame.py(max(start, end)), frame.py(min(start, end))
    element = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>')
    return element.format(style, x, top, width, max(1.0, bottom - top))


def upright(frame: Frame, x: float, label: str, *, style: str = "limit", row: int = 0) -> Markup:
    """A line over the whole height at `x`, labelled at its top, or `row` lines of text below it."""
    place = frame.px(x)
    mark = _segment(style, place, _TOP, place, frame.height - _BOTTOM)
    near_right = place > 0.6 * frame.width
    shift, anchor = (-5.0, "end") if near_right else (5.0, "start")
    return mark + text(place + shift, _TOP + 11 + 16 * row, label, anchor=anchor, style="note strong")


def legend(frame: Frame, entries: Sequence[tuple[str, str]], *, x: float, y: float) -> Markup:
    """Line samples with their labels, from a place in the picture downwards; entries are (style, label)."""
    parts = []
    for index, (style, label) in enumerate(entries):
        height = y + 19.0 * index
        parts.append(
            Markup('<polyline class="line {}" points="{:.0f},{h:.0f} {:.0f},{h:.0f}"/>').format(
                style, x, x + 30, h=height
            )
        )
        parts.append(text(x + 37, height + 4, label, style="note"))
    return Markup("").join(parts)


def round_ticks(low: float, high: float, about: int = 5) -> tuple[tuple[float, str], ...]:
    """Round numbers from `low` to `high`, with as few digits as tell them apart."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = min((m * power for m in (1.0, 2.0, 5.0, 10.0)), key=lambda s: abs(s - raw))
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple((index * step, f"{index * step:.{digits}f}") for index in range(first, last + 1))


def _segment(style: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    element = Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>')
    return element.format(style, x1, y1, x2, y2)
