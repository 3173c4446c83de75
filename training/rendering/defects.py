"""Defects on a surface: scratches, dents, stains; each gives the changed picture and its mask."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from training.rendering.parts import LIGHT, Picture
from training.rendering.surfaces import Plane, fine_noise

Mask = npt.NDArray[np.bool_]

# Where a defect changes the surface by less than this share of its own contrast, no person would mark it.
_VISIBLE = 0.2

# Scratches are tried until one has at least this many pixels (as a share of the shorter side) and lies by
# this share on the open surface; one that hides along an edge would be seen by nobody.
_SHORTEST = 0.15
_OPEN = 0.75
_ATTEMPTS = 24

# Scratches are drawn finer than the picture and reduced.
_FINER = 3
_SUBPIXEL_BITS = 4


def add_scratch(picture: Picture, surface: Mask, rng: np.random.Generator) -> tuple[Picture, Mask]:
    """Scratch a surface: a curved groove of varied length, width and depth, sometimes with a neighbour.

    Args:
        picture: float32 [H, W, 3], RGB, 0..1; not changed.
        surface: bool [H, W], where the scratch may run.
        rng: draws the scratch.

    Returns:
        The scratched picture, and the mask bool [H, W] of the scratch, never empty.

    Raises:
        ValueError: when the surface is too small for any scratch.
    """
    groove = _groove_on(surface, rng)
    mask = groove > _VISIBLE
    contrast = rng.uniform(0.24, 0.6)
    # A fresh scratch shines on one flank and lies dark on the other; an old one is just dark.
    flank = np.float32(contrast * (1 if rng.random() < 0.7 else -0.8))
    offset = rng.choice([-1.0, 1.0], 2) * rng.uniform(0.7, 1.3)
    move = np.array([[1, 0, offset[0]], [0, 1, offset[1]]])
    shade = cv2.warpAffine(groove, move, groove.shape[::-1]) * surface
    factor = 1 + flank * groove - np.float32(0.4 * contrast) * shade * (1 - groove)
    return _apply(picture, factor), mask


def add_dent(
    picture: Picture,
    surface: Mask,
    rng: np.random.Generator,
    *,
    light: tuple[float, float, float] = LIGHT,
    enlarge: float = 1.0,
) -> tuple[Picture, Mask]:
    """Dent a surface: a shallow, oval hollow, lit on the side away from the lamp; see `add_scratch`.

    Args:
        light: where the lamp stands, a unit vector: x to the right, y down, z to the camera.
        enlarge: how many times as wide and deep it is as dents usually are.
    """
    unit = min(surface.shape)
    centre = place(surface, rng)
    radius = enlarge * unit * rng.uniform(0.018, 0.04)
    across, along = _frame(surface.shape, centre, rng.uniform(0, math.pi))
    stretch = rng.uniform(0.75, 1.35)
    square = (across / (radius * stretch)) ** 2 + (along * stretch / radius) ** 2
    hollow = (-np.exp(-0.5 * square) * radius * rng.uniform(0.3, 0.55)).astype(np.float32)
    slope_x = cv2.Sobel(hollow, cv2.CV_32F, 1, 0, scale=0.125)
    slope_y = cv2.Sobel(hollow, cv2.CV_32F, 0, 1, scale=0.125)
    lit = (-light[0] * slope_x - light[1] * slope_y + light[2]) / np.sqrt(1 + slope_x**2 + slope_y**2)
    factor = 1 + 1.3 * (lit / light[2] - 1) * surface
    return _apply(picture, factor), np.asarray((square < 4) & surface)


def add_stain(picture: Picture, surface: Mask, rng: np.random.Generator) -> tuple[Picture, Mask]:
    """Stain a surface: a ragged, darker patch with a rim, as dried coolant leaves it; see `add_scratch`."""
    unit = min(surface.shape)
    across, along = _frame(surface.shape, place(surface, rng), rng.uniform(0, math.pi))
    radius = unit * rng.uniform(0.03, 0.07)
    ragged = 0.35 * fine_noise(surface.shape, rng, sigma=0.35 * radius)
    level = 1.4 - np.hypot(across, along * rng.uniform(1.0, 1.6)) / radius + ragged
    soft = max(1.0, 0.05 * unit)
    body = np.clip(0.5 + level * radius / soft, 0, 1) * surface
    rim = np.exp(-((level * radius / (0.5 * soft)) ** 2)) * surface
    depth = rng.uniform(0.12, 0.3)
    brown = np.array([0.75, 1.0, 1.3]) * depth
    factor = 1 - brown * (0.7 * body + 0.5 * rim)[..., None]
    return _apply(picture, factor), np.asarray(body > 0.5)


def _groove_on(surface: Mask, rng: np.random.Generator) -> Plane:
    """The first good scratch, or the best of several: how deep the surface is scratched, 0..1."""
    inner = _open(surface)
    best, best_share = np.zeros(surface.shape, dtype=np.float32), -1.0
    for _ in range(_ATTEMPTS):
        groove = _groove(surface, rng)
        visible = groove > _VISIBLE
        share = float((visible & inner).sum() / max(1, visible.sum()))
        enough = visible.sum() >= _SHORTEST * min(surface.shape)
        if share > best_share and (visible & surface).any():
            best, best_share = groove, share
        if enough and share >= _OPEN:
            break
    if best_share < 0:
        raise ValueError("the surface is too small for a scratch")
    return np.asarray(best * surface, dtype=np.float32)


def _groove(surface: Mask, rng: np.random.Generator) -> Plane:
    """A scratch whose middle lies on the surface, which it may leave; depth 0..1."""
    unit = min(surface.shape)
    height, width = surface.shape
    length = unit * rng.uniform(0.09, 0.36)
    start = np.array(place(surface, rng), dtype=float)
    heading = rng.uniform(0, 2 * math.pi)
    forward = np.array([math.cos(heading), math.sin(heading)])
    sideways = np.array([-forward[1], forward[0]])
    bend = length * rng.normal(0, 0.07)
    wobble = rng.normal(0, 0.0025 * unit, 7)
    thickness = unit / 320 * rng.uniform(0.9, 2.4)
    canvas = np.zeros((height * _FINER, width * _FINER), dtype=np.uint8)
    for neighbour in range(1 if rng.random() < 0.75 else 2):
        t = np.linspace(-0.5, 0.5, 49)
        pressure = _pressure(t, rng)
        if neighbour:
            t = t * rng.uniform(0.35, 0.8) + rng.uniform(-0.1, 0.1)
        gap = neighbour * unit * rng.uniform(0.012, 0.025)
        aside = bend * (1 - 4 * t**2) + np.interp(t, np.linspace(-0.5, 0.5, 7), wobble) + gap
        path = start + np.outer(t * length, forward) + np.outer(aside, sideways)
        _draw(canvas, path, thickness, pressure)
    fine = cv2.GaussianBlur(canvas, (0, 0), 0.35 * _FINER)
    drawn = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(drawn / np.float32(255), dtype=np.float32)


def _pressure(t: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """How hard the tool pressed at t in -0.5..0.5: it tapers at the ends and skips now and then."""
    taper = np.clip((0.5 - np.abs(t)) / rng.uniform(0.08, 0.3), 0, 1) ** 0.7
    skips = np.interp(t, np.linspace(-0.5, 0.5, 12), rng.uniform(0.45, 1.25, 12))
    return np.asarray(np.clip(taper * skips, 0, 1))


def _draw(
    canvas: npt.NDArray[np.uint8],
    path: npt.NDArray[np.float64],
    thickness: float,
    pressure: npt.NDArray[np.float64],
) -> None:
    """Draw a path [N, 2] of (x, y) in picture pixels on the finer canvas, as dark as it was pressed."""
    points = np.rint(path * _FINER * 2**_SUBPIXEL_BITS).astype(int)
    for index in range(len(points) - 1):
        here = float(pressure[index])
        wide = max(1, round(thickness * _FINER * (0.6 + 0.4 * here)))
        first, second = points[index].tolist(), points[index + 1].tolist()
        cv2.line(canvas, first, second, round(255 * here), wide, cv2.LINE_AA, _SUBPIXEL_BITS)


def place(surface: Mask, rng: np.random.Generator) -> tuple[int, int]:
    """A random pixel (x, y) of the surface, away from its edges where it is broad enough."""
    inner = np.flatnonzero(_open(surface))
    pixels = inner if inner.size else np.flatnonzero(surface)
    if pixels.size == 0:
        raise ValueError("the surface has no pixel on which a defect could lie")
    y, x = divmod(int(rng.choice(pixels)), surface.shape[1])
    return x, y


def _open(surface: Mask) -> Mask:
    """The surface without a margin along its edges and those of the picture."""
    margin = 2 * (min(surface.shape) // 50) + 1
    kernel = np.ones((margin, margin), dtype=np.uint8)
    eroded = cv2.erode(surface.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(eroded > 0)


def _frame(shape: tuple[int, ...], centre: tuple[int, int], angle: float) -> tuple[Plane, Plane]:
    """Coordinates (across, along) [H, W] in pixels from a centre (x, y), turned by `angle` (radians)."""
    y = np.arange(shape[0], dtype=np.float32)[:, None] - centre[1]
    x = np.arange(shape[1], dtype=np.float32)[None, :] - centre[0]
    cos, sin = math.cos(angle), math.sin(angle)
    return np.asarray(cos * x + sin * y), np.asarray(cos * y - sin * x)


def _apply(picture: Picture, factor: npt.NDArray[np.floating]) -> Picture:
    broad = factor if factor.ndim == picture.ndim else factor[..., None]
    return np.asarray(np.clip(picture * broad, 0, 1), dtype=np.float32)
