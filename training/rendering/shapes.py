"""Outlines of things: discs, nuts, gears, screws, brackets, letters; as soft masks."""

import math
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from training.rendering.surfaces import Plane

Contour = npt.NDArray[np.float64]
Outline = Callable[[np.random.Generator], list[Contour]]

_GLYPHS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_SUBPIXEL_BITS = 4


def draw_shape(kind: int, size: int, radius: float, rng: np.random.Generator) -> Plane:
    """A thing of one kind, turned and stretched at random: soft mask float32 [size, size], 0..1.

    Args:
        kind: 0..`KINDS - 1`.
        size: pixels of the picture; the thing's middle lies inside it.
        radius: pixels from the thing's middle to its far ends, about.
        rng: draws place, angle and proportions.
    """
    angle = rng.uniform(0, 2 * math.pi)
    stretch = math.exp(rng.uniform(-0.25, 0.25))
    cos, sin = radius * math.cos(angle), radius * math.sin(angle)
    turn = np.array([[cos * stretch, -sin / stretch], [sin * stretch, cos / stretch]])
    centre = rng.uniform(0.12, 0.88, 2) * size
    canvas = np.zeros((size, size), dtype=np.uint8)
    if kind >= len(_OUTLINES):
        _draw_glyph(canvas, _GLYPHS[kind - len(_OUTLINES)], turn, centre, rng)
    else:
        contours = [
            np.rint((contour @ turn.T + centre) * 2**_SUBPIXEL_BITS).astype(np.int32)
            for contour in _OUTLINES[kind](rng)
        ]
        cv2.fillPoly(canvas, contours, 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    return np.asarray(canvas / np.float32(255), dtype=np.float32)


def _draw_glyph(
    canvas: npt.NDArray[np.uint8],
    glyph: str,
    turn: npt.NDArray[np.float64],
    centre: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    side = 48
    stamp = np.zeros((side, side), dtype=np.uint8)
    font = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX)[rng.integers(3)]
    thick = int(rng.integers(2, 6))
    (width, height), _ = cv2.getTextSize(glyph, font, 1.4, thick)
    cv2.putText(stamp, glyph, ((side - width) // 2, (side + height) // 2), font, 1.4, 255, thick, cv2.LINE_AA)
    scaled = turn / (side / 2)
    move = np.column_stack([scaled, centre - scaled @ np.full(2, side / 2)])
    flags = cv2.INTER_AREA if abs(np.linalg.det(scaled)) < 1 else cv2.INTER_LINEAR
    cv2.warpAffine(stamp, move, canvas.shape[::-1], canvas, flags=flags)


def _circle(radius: float = 1.0, points: int = 48) -> Contour:
    t = np.linspace(0, 2 * math.pi, points, endpoint=False)
    return np.stack([radius * np.cos(t), radius * np.sin(t)], axis=1)


def _box(x: float, y: float, half_width: float, half_height: float) -> Contour:
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float64)
    return corners * [half_width, half_height] + [x, y]


def _regular(sides: int) -> Outline:
    return lambda rng: [_circle(1.0, sides)]


def _disc(rng: np.random.Generator) -> list[Contour]:
    return [_circle()]


def _ring(rng: np.random.Generator) -> list[Contour]:
    return [_circle(), _circle(rng.uniform(0.35, 0.85))]


def _nut(rng: np.random.Generator) -> list[Contour]:
    return [_circle(1.0, 6), _circle(rng.uniform(0.35, 0.65))]


def _flange(rng: np.random.Generator) -> list[Contour]:
    count, small = int(rng.integers(3, 9)), rng.uniform(0.08, 0.16)
    bolts = [_circle(small, 20) + 0.75 * p for p in _circle(1.0, count)]
    return [_circle(), _circle(rng.uniform(0.25, 0.5)), *bolts]


def _gear(rng: np.random.Generator) -> list[Contour]:
    teeth, depth = int(rng.integers(6, 22)), rng.uniform(0.12, 0.3)
    t = np.linspace(0, 2 * math.pi, teeth * 8, endpoint=False)
    radius = 1 - depth * (np.arange(len(t)) % 8 >= 4)
    outer = np.stack([radius * np.cos(t), radius * np.sin(t)], axis=1)
    return [outer, _circle(rng.uniform(0.15, 0.5))]


def _star(rng: np.random.Generator) -> list[Contour]:
    points = int(rng.integers(4, 8))
    radius = np.where(np.arange(2 * points) % 2, rng.uniform(0.35, 0.65), 1.0)
    return [_circle(1.0, 2 * points) * radius[:, None]]


def _rectangle(rng: np.random.Generator) -> list[Contour]:
    return [_box(0, 0, 0.95, rng.uniform(0.3, 0.9))]


def _bar(rng: np.random.Generator) -> list[Contour]:
    return [_box(0, 0, 1.6, rng.uniform(0.06, 0.2))]


def _slot(rng: np.random.Generator) -> list[Contour]:
    radius = rng.uniform(0.2, 0.45)
    ends = _circle(radius)
    ends[:, 0] += np.where(ends[:, 0] >= 0, 1 - radius, radius - 1)
    return [ends]


def _plate(rng: np.random.Generator) -> list[Contour]:
    half = rng.uniform(0.45, 0.75)
    holes = [
        _circle(rng.uniform(0.1, 0.2), 24) + np.array([x * 0.65, y * 0.55 * half])
        for x in (-1, 1)
        for y in (-1, 1)
    ]
    return [_box(0, 0, 0.95, half), *holes]


def _angle(rng: np.random.Generator) -> list[Contour]:
    leg = rng.uniform(0.3, 0.7)
    corners = [
        (-0.9, -0.9),
        (-0.9 + leg, -0.9),
        (-0.9 + leg, 0.9 - leg),
        (0.9, 0.9 - leg),
        (0.9, 0.9),
        (-0.9, 0.9),
    ]
    return [np.array(corners)]


def _cross(rng: np.random.Generator) -> list[Contour]:
    a = rng.uniform(0.15, 0.4)
    corners = [
        (a, 1),
        (a, a),
        (1, a),
        (1, -a),
        (a, -a),
        (a, -1),
        (-a, -1),
        (-a, -a),
        (-1, -a),
        (-1, a),
        (-a, a),
        (-a, 1),
    ]
    return [np.array(corners, dtype=np.float64)]


def _screw(rng: np.random.Generator) -> list[Contour]:
    turns, depth, half = int(rng.integers(6, 16)), rng.uniform(0.06, 0.14), rng.uniform(0.15, 0.4)
    x = np.linspace(-0.6, 1.4, 2 * turns)
    ripple = depth * (np.arange(2 * turns) % 2)
    upper = np.stack([x, half + ripple], axis=1)
    lower = np.stack([x, -half - np.roll(ripple, 1)], axis=1)[::-1]
    head = [(-0.6, -half * 1.9), (-1.0, -half * 1.9), (-1.0, half * 1.9), (-0.6, half * 1.9)]
    return [np.concatenate([upper, lower, np.array(head)])]


def _spring(rng: np.random.Generator) -> list[Contour]:
    turns, thick = int(rng.integers(3, 9)), rng.uniform(0.05, 0.1)
    x = np.linspace(-1, 1, 20 * turns)
    y = 0.5 * np.sin(np.linspace(0, 2 * math.pi * turns, len(x)))
    return [np.concatenate([np.stack([x, y + thick], 1), np.stack([x, y - thick], 1)[::-1]])]


def _arc(rng: np.random.Generator) -> list[Contour]:
    t = np.linspace(0, rng.uniform(0.5, 1.5) * math.pi, 32)
    inner = rng.uniform(0.5, 0.85)
    edge = np.stack([np.cos(t), np.sin(t)], axis=1)
    return [np.concatenate([edge, inner * edge[::-1]])]


def _blob(rng: np.random.Generator) -> list[Contour]:
    t = np.linspace(0, 2 * math.pi, 64, endpoint=False)
    radius = np.full(64, 0.75)
    for order in range(2, 6):
        radius += rng.normal(0, 0.35 / order) * np.cos(order * t + rng.uniform(0, 2 * math.pi))
    return [_circle(1.0, 64) * radius[:, None]]


def _grille(rng: np.random.Generator) -> list[Contour]:
    count = int(rng.integers(3, 6))
    pitch = 1.8 / count
    nodes = (np.arange(count) - (count - 1) / 2) * pitch
    hole = rng.uniform(0.25, 0.4) * pitch
    holes = [_circle(hole, 16) + np.array([x, y]) for x in nodes for y in nodes]
    return [_box(0, 0, 0.95, 0.95), *holes]


_OUTLINES: tuple[Outline, ...] = (
    _disc, _ring, _nut, _flange, _gear, _star, _rectangle, _bar, _slot, _plate, _angle, _cross, _screw,
    _spring, _arc, _blob, _grille, _regular(3), _regular(5), _regular(6),
)  # fmt: skip

KINDS = len(_OUTLINES) + len(_GLYPHS)
PARTS = len(_OUTLINES)
