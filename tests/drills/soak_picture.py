"""The picture of a soak: memory, latency, descriptors and threads over time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tests.drills.soak_findings import Sample
from tests.tiny_bundle import Pixels

WIDTH, PANEL, LEFT, RIGHT, TOP, BOTTOM = 900, 190, 70, 20, 34, 26
INK, GRID = (60, 60, 60), (225, 225, 225)
# Blue and orange, which the colour-blind can tell apart.
COLOURS = ((0, 114, 178), (213, 94, 0))

Curve = tuple[str, Callable[[Sample], float | None]]


@dataclass(frozen=True)
class Panel:
    """One frame over time: its title and its curves."""

    title: str
    curves: tuple[Curve, ...]


PANELS = (
    Panel("resident memory, MB", (("", lambda sample: sample.rss_mb),)),
    Panel("latency, ms", (("p50", lambda sample: sample.p50_ms), ("p99", lambda sample: sample.p99_ms))),
    Panel("count", (("descriptors", lambda s: s.descriptors), ("threads", lambda s: s.threads))),
)


def picture(samples: Sequence[Sample]) -> Pixels:
    """Draw the samples: uint8 RGB [H, W, 3]. All vertical axes begin at nought."""
    minutes = max(sample.seconds for sample in samples) / 60
    panels = [_draw(panel, samples, minutes) for panel in PANELS]
    return np.concatenate(panels, axis=0)


def _draw(panel: Panel, samples: Sequence[Sample], minutes: float) -> Pixels:
    canvas = np.full((PANEL, WIDTH, 3), 255, dtype=np.uint8)
    values = [value for _, of in panel.curves for sample in samples if (value := of(sample)) is not None]
    top = 1.15 * max([*values, 1e-9])

    def place(seconds: float, value: float) -> tuple[int, int]:
        x = LEFT + seconds / 60 / minutes * (WIDTH - LEFT - RIGHT)
        y = PANEL - BOTTOM - value / top * (PANEL - TOP - BOTTOM)
        return round(x), round(y)

    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        at = place(0, share * top)
        cv2.line(canvas, at, (WIDTH - RIGHT, at[1]), GRID, 1)
        _write(canvas, f"{share * top:,.0f}", (8, at[1] + 4), INK)
        along = place(60 * share * minutes, 0)
        _write(canvas, f"{share * minutes:.3g} min", (along[0] - 20, PANEL - 8), INK)
    _write(canvas, panel.title, (LEFT, 20), INK)
    for index, (name, of) in enumerate(panel.curves):
        points = [place(s.seconds, value) for s in samples if (value := of(s)) is not None]
        cv2.polylines(canvas, [np.array(points, np.int32)], False, COLOURS[index], 1, cv2.LINE_AA)
        _write(canvas, name, (LEFT + 200 + 130 * index, 20), COLOURS[index])
    return canvas


def _write(canvas: Pixels, text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)
