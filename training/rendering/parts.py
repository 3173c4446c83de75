"""A machined bracket, photographed from above: outline, holes, bevels, shadow, background."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from training.rendering.surfaces import (
    Plane,
    Size,
    blur,
    brushed_metal,
    cast_metal,
    fine_noise,
    lighting_gradient,
    vignette,
)

Picture = npt.NDArray[np.float32]

# The lamp stands at the top left; x to the right, y down, z to the camera.
LIGHT = (-0.52, -0.62, 0.59)

# Lengths are in units of the shorter image side. (x, y, radius), from the middle of the picture.
_HOLES = (
    (-0.282, -0.29, 0.043),
    (-0.282, -0.05, 0.043),
    (0.05, 0.25, 0.043),
    (0.285, 0.25, 0.043),
    (-0.25, 0.25, 0.083),
)
_BEVEL = 0.014
# Reduced so far, a bracket stays in the picture at any angle and at most so far from the middle.
_TURNED_SCALE, _TURNED_SHIFT = 0.66, 0.12
_TINTS = ((1.0, 1.0, 1.0), (0.985, 1.0, 1.025), (1.02, 1.0, 0.975))


@dataclass(frozen=True)
class Part:
    """A rendered part.

    Attributes:
        picture: float32 [H, W, 3], RGB, 0..1, without the camera's noise.
        surface: bool [H, W], the metal that the camera sees, without the outermost pixels.
    """

    picture: Picture
    surface: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Pose:
    """How a part lies: degrees, shift (x, y) from the middle in shorter sides, and its size."""

    angle: float
    shift: npt.NDArray[np.float64]
    scale: float = 1.0


def render_bracket(size: Size, rng: np.random.Generator, *, turned: bool = False) -> Part:
    """Render one good bracket of (height, width) pixels, slightly displaced and turned.

    No two are alike: brushing, lighting, tint and pose (a few pixels and degrees) are drawn from `rng`.

    Args:
        turned: it lies at any angle and, smaller, anywhere in the picture; the lamp stays where it is.
    """
    unit = float(min(size))
    pose = _any_pose(rng) if turned else _usual_pose(rng)
    distance = _bracket_at(size, pose)
    angle = pose.angle
    cover = np.asarray(np.clip(0.5 - distance * unit, 0, 1), dtype=np.float32)

    grain = brushed_metal(size, rng, angle=rng.normal(0, 1.0) - angle)
    metal = np.float32(rng.uniform(0.56, 0.64)) * (1 + 0.062 * grain + 0.012 * fine_noise(size, rng, 0.6))
    metal = metal * lighting_gradient(size, rng, 0.16) * _bevel_shading(distance, unit) + _glint(
        distance, unit
    )

    tint = np.array(_TINTS[rng.integers(len(_TINTS))], dtype=np.float32)
    bench = _background(size, rng) * _shadow(cover, unit)[..., None]
    picture = bench + cover[..., None] * (metal[..., None] * tint - bench)
    picture = picture * (vignette(size, 0.22) * np.float32(rng.uniform(0.94, 1.06)))[..., None]
    surface = distance < -0.5 * _BEVEL
    return Part(np.clip(picture, 0, 1).astype(np.float32), np.asarray(surface))


def photograph(picture: Picture, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """What the camera makes of a picture float32 [H, W, 3] in 0..1: slight blur and noise; uint8, RGB."""
    blurred = cv2.GaussianBlur(picture, (0, 0), 0.55)
    # Shot noise grows with the brightness; the read noise is always there.
    noise = rng.standard_normal(picture.shape[:2], dtype=np.float32)[..., None]
    colour = 0.4 * rng.standard_normal(picture.shape, dtype=np.float32)
    noisy = blurred + (noise + colour) * np.sqrt(0.00002 + 0.00008 * blurred)
    return np.asarray(np.clip(np.rint(noisy * 255), 0, 255), dtype=np.uint8)


def _usual_pose(rng: np.random.Generator) -> _Pose:
    return _Pose(rng.normal(0, 1.2), rng.normal(0, 0.006, 2))


def _any_pose(rng: np.random.Generator) -> _Pose:
    shift = rng.uniform(-_TURNED_SHIFT, _TURNED_SHIFT, 2)
    return _Pose(rng.uniform(0, 360), shift, _TURNED_SCALE)


def _bracket_at(size: Size, pose: _Pose) -> Plane:
    """Signed distance [H, W] to the edge of a bracket that lies so, in units of the shorter side."""
    x, y = _local(size, pose.angle, pose.shift)
    scale = np.float32(pose.scale)
    return np.asarray(scale * _bracket(np.asarray(x / scale), np.asarray(y / scale)))


def _local(size: Size, angle: float, shift: npt.NDArray[np.float64]) -> tuple[Plane, Plane]:
    """Coordinates (x, y) [H, W] in the part's own frame, in units of the shorter side."""
    height, width = size
    unit = min(size)
    y = ((np.arange(height, dtype=np.float32) - height / 2) / unit)[:, None] - np.float32(shift[1])
    x = ((np.arange(width, dtype=np.float32) - width / 2) / unit)[None, :] - np.float32(shift[0])
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return np.asarray(cos * x + sin * y), np.asarray(cos * y - sin * x)


def _bracket(x: Plane, y: Plane) -> Plane:
    """Signed distance to the bracket's edge, negative inside (an L with a fillet, holes and a slot)."""
    upright = _rounded_box(x + 0.25, y, 0.135, 0.385, 0.03)
    foot = _rounded_box(x, y - 0.25, 0.385, 0.135, 0.03)
    # The inner corner, at (-0.115, 0.115), is filled but for a circle that touches both arms.
    radius = np.float32(0.075)
    corner = _rounded_box(x + 0.115, y - 0.115, 0.075, 0.075, 0.0)
    fillet = np.maximum(corner, radius - np.hypot(x + 0.115 - radius, y - 0.115 + radius))
    outline = np.minimum(np.minimum(upright, foot), fillet)
    for centre_x, centre_y, hole_radius in _HOLES:
        hole = np.hypot(x - centre_x, y - centre_y) - hole_radius
        outline = np.maximum(outline, -hole)
    return np.asarray(np.maximum(outline, -_slot(x, y)), dtype=np.float32)


def _rounded_box(x: Plane, y: Plane, half_width: float, half_height: float, radius: float) -> Plane:
    across = np.abs(x) - np.float32(half_width - radius)
    down = np.abs(y) - np.float32(half_height - radius)
    outside = np.hypot(np.maximum(across, 0), np.maximum(down, 0))
    return np.asarray(outside + np.minimum(np.maximum(across, down), 0) - np.float32(radius))


def _slot(x: Plane, y: Plane) -> Plane:
    along = np.clip(y + 0.17, -0.075, 0.075)
    return np.asarray(np.hypot(x + 0.185, y + 0.17 - along) - np.float32(0.017))


def _bevel_shading(distance: Plane, unit: float) -> Plane:
    """A factor that lights the bevelled edges by their slope; 1 on the flat face."""
    depth = np.clip(-distance / np.float32(_BEVEL), 0, 1)
    height = np.sqrt(np.clip(1 - (1 - depth) ** 2, 0, 1)) * np.float32(_BEVEL * unit)
    height = cv2.GaussianBlur(height, (0, 0), 0.8)
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=0.125)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=0.125)
    lit = (-LIGHT[0] * slope_x - LIGHT[1] * slope_y + LIGHT[2]) / np.sqrt(1 + slope_x**2 + slope_y**2)
    return np.asarray(np.clip(lit / LIGHT[2], 0.25, 1.75), dtype=np.float32)


def _glint(distance: Plane, unit: float) -> Plane:
    """The fine bright line that a broken edge shows all the way round."""
    return np.asarray(0.05 * np.exp(-(((distance * unit + 1.2) / 0.9) ** 2)), dtype=np.float32)


def _shadow(cover: Plane, unit: float) -> Plane:
    """A factor that darkens the background beside the part, away from the lamp, and inside its holes."""
    offset = 0.02 * unit
    move = np.array([[1, 0, offset * 0.8], [0, 1, offset]], dtype=np.float32)
    cast = np.asarray(cv2.warpAffine(cover, move, cover.shape[::-1]), dtype=np.float32)
    near = blur(cast, 0.009 * unit)
    wide = blur(cover, 0.03 * unit)
    return np.asarray((1 - 0.62 * near) * (1 - 0.35 * wide), dtype=np.float32)


def _background(size: Size, rng: np.random.Generator) -> Picture:
    """A dark, dull bench [H, W, 3]."""
    dull = np.float32(0.205) * (1 + 0.055 * cast_metal(size, rng)) * lighting_gradient(size, rng, 0.15)
    return np.asarray(dull[..., None] * np.array([0.97, 1.0, 1.05]), dtype=np.float32)
