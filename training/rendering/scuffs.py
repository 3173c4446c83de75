"""Scuffs: patches where something rough dragged across a surface and took off its finish.

Unlike a single groove (`defects.add_scratch`) a scuff has a material of its own: what lies under the finish
is of another tone and colour, and streaked along the stroke.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from training.rendering.defects import Mask, place
from training.rendering.parts import Picture
from training.rendering.surfaces import Plane

# Where less than this of the finish is gone, no person would mark a scuff.
_VISIBLE = 0.3

_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_WARM = np.array([1.0, 0.0, -1.0], dtype=np.float32)


@dataclass(frozen=True)
class _Stroke:
    """A stroke in pixels: how far each pixel [H, W] lies along and across its bent middle line."""

    along: Plane
    across: Plane
    length: float
    width: float


def add_scuff(picture: Picture, surface: Mask, rng: np.random.Generator) -> tuple[Picture, Mask]:
    """Scuff a surface: bundles of strokes, from a few hair lines to a solid band; see `defects.add_scratch`.

    The bare material is drawn relative to the surface round it: darker or brighter, and mostly greyer, since
    a finish has more colour than what it covers. A scuff may run off the part.

    Returns:
        The scuffed picture, and the mask bool [H, W] of the scuff, which may be empty.
    """
    stroke = _stroke(surface, rng.uniform(0, 2 * math.pi), rng)
    cover = _gone(stroke, rng)
    for _ in range(int(rng.choice(3, p=(0.6, 0.25, 0.15)))):
        cover = np.maximum(cover, _gone(_beside(stroke, rng), rng))
    # The edge of a surface is no sharper than that of the photo.
    cover = cover * cv2.GaussianBlur(surface.astype(np.float32), (0, 0), 0.6) * surface
    grain = np.float32(rng.uniform(0.04, 0.25)) * _streaks(stroke, 14, rng)
    bare = _bare(picture, surface, rng) * (1 + grain)[..., None]
    opaque = np.float32(rng.uniform(0.65, 1.0)) * cover
    changed = picture + opaque[..., None] * (bare - picture)
    return np.asarray(np.clip(changed, 0, 1), dtype=np.float32), np.asarray(cover > _VISIBLE)


def _stroke(surface: Mask, heading: float, rng: np.random.Generator) -> _Stroke:
    unit = min(surface.shape)
    length = unit * math.exp(rng.uniform(math.log(0.12), math.log(1.1)))
    width = min(0.8 * length, unit * math.exp(rng.uniform(math.log(0.015), math.log(0.3))))
    x, y = place(surface, rng)
    dx = np.arange(surface.shape[1], dtype=np.float32)[None, :] - np.float32(x)
    dy = np.arange(surface.shape[0], dtype=np.float32)[:, None] - np.float32(y)
    cos, sin = np.float32(math.cos(heading)), np.float32(math.sin(heading))
    along, across = cos * dx + sin * dy, cos * dy - sin * dx
    bend = np.float32(rng.normal(0, 0.12) / length)
    return _Stroke(np.asarray(along), np.asarray(across - bend * along**2), length, width)


def _beside(stroke: _Stroke, rng: np.random.Generator) -> _Stroke:
    """Another stroke of the same tool: about as long, and nearly parallel."""
    turn, size = np.float32(rng.normal(0, 0.12)), rng.uniform(0.4, 1.1, 2)
    along = stroke.along + np.float32(stroke.length * rng.normal(0, 0.2))
    across = stroke.across + turn * stroke.along + np.float32(stroke.width * rng.normal(0, 0.7))
    return _Stroke(along, across, stroke.length * size[0], stroke.width * size[1])


def _gone(stroke: _Stroke, rng: np.random.Generator) -> Plane:
    """How much of the finish is gone [H, W], 0..1: strokes end raggedly and thin out towards their sides."""
    ends = 0.5 - np.abs(stroke.along / np.float32(stroke.length))
    ends = ends + np.float32(rng.uniform(0.02, 0.2)) * _streaks(stroke, 60, rng)
    sides = 0.5 - np.abs(stroke.across / np.float32(stroke.width))
    edge = np.minimum(ends / np.float32(rng.uniform(0.02, 0.15)), sides / np.float32(rng.uniform(0.03, 0.3)))
    # From lines that stand alone to a band with hardly a gap.
    full = np.float32(rng.uniform(-0.9, 2.2))
    pressed = full + _streaks(stroke, rng.uniform(10, 50), rng)
    lines = np.clip(0.5 + np.float32(rng.uniform(1, 3)) * pressed, 0, 1)
    return np.asarray(np.clip(edge, 0, 1) * lines, dtype=np.float32)


def _streaks(stroke: _Stroke, stretch: float, rng: np.random.Generator) -> Plane:
    """Noise [H, W] of mean 0 and deviation about 1, `stretch` times as long along a stroke as across it."""
    rows, columns = 512, 64
    noise = rng.standard_normal((rows, columns), dtype=np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), rng.uniform(0.7, 1.6))
    return np.asarray(
        cv2.remap(
            smooth / smooth.std(),
            stroke.along / np.float32(stretch) + np.float32(columns / 2),
            stroke.across + np.float32(rows / 2),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        ),
        dtype=np.float32,
    )


def _bare(picture: Picture, surface: Mask, rng: np.random.Generator) -> Picture:
    """The material under the finish [H, W, 3], lit as its surroundings are."""
    sigma = 0.04 * min(surface.shape)
    on_it = surface.astype(np.float32)[..., None]
    weight = cv2.GaussianBlur(on_it, (0, 0), sigma)[..., None] + np.float32(1e-3)
    near = cv2.GaussianBlur(picture * on_it, (0, 0), sigma) / weight
    lit = near + np.float32(rng.uniform(0.2, 1.0)) * (picture[surface].mean(axis=0) - near)
    warmth = np.float32(rng.normal(0.02, 0.05))
    grey = (lit @ _LUMINANCE)[..., None] * (1 + warmth * _WARM)
    tone = np.float32(math.exp(rng.uniform(math.log(0.55), math.log(1.6))))
    return np.asarray(tone * (lit + np.float32(rng.uniform(0.3, 1.0)) * (grey - lit)), dtype=np.float32)
