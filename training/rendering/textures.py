"""Classes of texture: each number is a fixed random recipe, of which any number of samples can be drawn.

A sample is a tile that repeats without a seam, so that windows can be cut from it at any place and angle.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from training.rendering.surfaces import Plane, standardise

SIDE = 256

Kind = Callable[[np.random.Generator, np.random.Generator, int], Plane]

# Contrast beyond so many deviations is cut off in the 8-bit tiles.
_LEVELS_PER_DEVIATION = 42.0


def render_texture(number: int, sample: np.random.Generator, *, seed: int = 0, side: int = SIDE) -> Plane:
    """A sample float32 [side, side] of texture class `number`; mean 0, deviation 1.

    Opposite edges fit together (only coloured grains may be cut there). A few recipes come out flat.

    Args:
        number: the class. Its recipe depends on `(seed, number)` alone.
        sample: draws the sample; the same recipe with another generator gives another sample.
        seed: another seed gives other classes.
        side: pixels, a power of two for speed.
    """
    recipe = np.random.default_rng((seed, number))
    plane = _one(recipe, sample, side)
    if recipe.random() < 0.4:
        share = np.float32(recipe.uniform(0.3, 0.9))
        plane = standardise(plane + share * _one(recipe, sample, side))
    if recipe.random() < 0.3:
        plane = _warp(plane, recipe, sample)
    return standardise(plane)


def to_tile(plane: Plane) -> npt.NDArray[np.uint8]:
    """A texture of deviation 1 as uint8 [H, W] around 128."""
    return np.asarray(np.clip(128.0 + _LEVELS_PER_DEVIATION * plane, 0, 255), dtype=np.uint8)


def window(tile: npt.NDArray[np.uint8], size: int, zoom: float, rng: np.random.Generator) -> Plane:
    """A window float32 [size, size] of a tile, at a random place and angle; deviation about 1.

    Args:
        tile: uint8 [H, W], seamless, from `to_tile`.
        size: pixels of the window.
        zoom: pixels of the window per pixel of the tile.
        rng: draws place, angle, and whether it is mirrored.
    """
    angle = rng.uniform(0, 2 * math.pi)
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    mirror = 1.0 if rng.random() < 0.5 else -1.0
    x, y = rng.uniform(0, tile.shape[0], 2)
    move = np.array([[cos, -sin * mirror, x], [sin, cos * mirror, y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    source = cv2.GaussianBlur(tile, (0, 0), 0.35 / zoom) if zoom < 0.75 else tile
    cut = cv2.warpAffine(source, move, (size, size), flags=flags, borderMode=cv2.BORDER_WRAP)
    return np.asarray((cut.astype(np.float32) - 128.0) / np.float32(_LEVELS_PER_DEVIATION))


def _one(recipe: np.random.Generator, sample: np.random.Generator, side: int) -> Plane:
    kind = _KINDS[int(recipe.choice(len(_KINDS), p=_SHARES))]
    return _bend(standardise(kind(recipe, sample, side)), recipe)


def _noise(recipe: np.random.Generator, sample: np.random.Generator, side: int) -> Plane:
    """Noise with a spectrum of its own: a band or a power law, round or drawn out along one direction."""
    angle = recipe.uniform(0, math.pi)
    stretch = float(recipe.choice([1.0, recipe.uniform(1.3, 4.0)]))
    radius = _frequencies(side, angle, stretch)
    centre = math.exp(recipe.uniform(math.log(0.012), math.log(0.3)))
    if recipe.random() < 0.6:
        gain = np.exp(-0.5 * (np.log(radius / centre) / recipe.uniform(0.12, 0.8)) ** 2)
    else:
        gain = (radius + 0.25 * centre) ** -recipe.uniform(0.5, 2.2)
    gain[0, 0] = 0
    spectrum = np.fft.rfft2(sample.standard_normal((side, side), dtype=np.float32)) * gain
    return np.asarray(np.fft.irfft2(spectrum, s=(side, side)), dtype=np.float32)


def _waves(recipe: np.random.Generator, sample: np.random.Generator, side: int) -> Plane:
    """One to three gratings, added, multiplied or laid over each other as in a weave."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    shift_x, shift_y = sample.uniform(0, 1, 2)
    total = np.zeros((side, side), dtype=np.float32)
    count, mode = int(recipe.integers(1, 4)), recipe.integers(3)
    longest = math.exp(recipe.uniform(math.log(4), math.log(48)))
    for index in range(count):
        angle = recipe.uniform(0, math.pi)
        cycles_x = round(longest * math.cos(angle) * recipe.uniform(0.6, 1.2))
        cycles_y = round(longest * math.sin(angle) * recipe.uniform(0.6, 1.2)) or 1
        phase = 2 * math.pi * (cycles_x * (x + shift_x) + cycles_y * (y + shift_y))
        wave = _waveform(phase, int(recipe.integers(4)))
        if index == 0 or mode == 0:
            total = total + wave
        else:
            total = total * wave if mode == 1 else np.maximum(total, wave)
    return np.asarray(total, dtype=np.float32)


def _scatter(recipe: np.random.Generator, sample: np.random.Generator, side: int) -> Plane:
    """Many small shapes of one kind, at random or on a shaken grid."""
    pitch = math.exp(recipe.uniform(math.log(9), math.log(34)))
    radius = pitch * recipe.uniform(0.2, 0.55)
    spread, shape = recipe.uniform(0, 0.5), int(recipe.integers(6))
    turn, free = recipe.uniform(0, math.pi), recipe.random() < 0.5
    wide = recipe.uniform(0.15, 0.7)
    places = _places(side, pitch, recipe.uniform(0, 0.35), sample)
    canvas = np.zeros((side, side), dtype=np.float32)
    for place in places:
        size = radius * math.exp(spread * sample.standard_normal())
        angle = sample.uniform(0, math.pi) if free else turn
        level = 1.0 + 0.5 * sample.standard_normal()
        for dx in (-side, 0, side):
            for dy in (-side, 0, side):
                centre = place + np.array([dx, dy])
                if np.all(centre > -2 * size) and np.all(centre < side + 2 * size):
                    _stamp(canvas, shape, centre, size, angle, wide, level)
    return canvas


def _cells(recipe: np.random.Generator, sample: np.random.Generator, side: int) -> Plane:
    """Grains: the distance to the nearest of scattered points, or the seams between grains."""
    pitch = math.exp(recipe.uniform(math.log(10), math.log(40)))
    places = _places(side, pitch, recipe.uniform(0.1, 0.6), sample).astype(int) % side
    seeds = np.full((side, side), 255, dtype=np.uint8)
    seeds[places[:, 1], places[:, 0]] = 0
    margin = side // 4
    padded = cv2.copyMakeBorder(seeds, margin, margin, margin, margin, cv2.BORDER_WRAP)
    distance, labels = cv2.distanceTransformWithLabels(padded, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    inner = (slice(margin, margin + side), slice(margin, margin + side))
    mode = recipe.integers(3)
    if mode == 0:
        return np.asarray(distance[inner], dtype=np.float32)
    owner = labels[inner].astype(np.int64)
    if mode == 1:
        return np.asarray((owner * 2654435761 % 1009) / 1009.0, dtype=np.float32)
    seams = cv2.morphologyEx(labels.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    return np.asarray(cv2.GaussianBlur(seams.astype(np.float32), (0, 0), recipe.uniform(0.5, 2))[inner])


_KINDS: tuple[Kind, ...] = (_noise, _waves, _scatter, _cells)
_SHARES = (0.45, 0.2, 0.2, 0.15)


def _bend(plane: Plane, recipe: np.random.Generator) -> Plane:
    """Put the values through a curve: folds give veins, thresholds give patches, clipping gives pits."""
    amount = np.float32(recipe.uniform(-0.8, 0.8))
    curves: tuple[Callable[[Plane], npt.NDArray[np.floating]], ...] = (
        lambda p: p,
        lambda p: p,
        lambda p: np.abs(p - amount),
        lambda p: np.tanh(4 * (p - amount)),
        lambda p: np.minimum(p + np.float32(0.9), 0),
        lambda p: np.maximum(p - np.float32(0.9), 0),
        lambda p: np.exp(np.clip(p, -3, 3)),
        lambda p: np.sin(np.float32(2.5) * p),
    )
    return standardise(curves[int(recipe.integers(len(curves)))](plane))


def _warp(plane: Plane, recipe: np.random.Generator, sample: np.random.Generator) -> Plane:
    side = len(plane)
    scale, strength = recipe.uniform(0.01, 0.05), recipe.uniform(1.0, 7.0)
    gain = np.exp(-((_frequencies(side, 0.0, 1.0) / scale) ** 2))
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    shifts = []
    for _ in range(2):
        spectrum = np.fft.rfft2(sample.standard_normal((side, side), dtype=np.float32)) * gain
        shifts.append(strength * standardise(np.fft.irfft2(spectrum, s=(side, side))))
    moved = cv2.remap(
        plane,
        (x + shifts[0]).astype(np.float32),
        (y + shifts[1]).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    return np.asarray(moved, dtype=np.float32)


def _frequencies(side: int, angle: float, stretch: float) -> npt.NDArray[np.float32]:
    """Radial frequency in cycles per pixel, drawn out along `angle`, for `rfft2`; never 0."""
    fy = np.fft.fftfreq(side)[:, None].astype(np.float32)
    fx = np.fft.rfftfreq(side)[None, :].astype(np.float32)
    along = (math.cos(angle) * fx + math.sin(angle) * fy) * np.float32(stretch)
    across = (math.cos(angle) * fy - math.sin(angle) * fx) / np.float32(stretch)
    return np.asarray(np.maximum(np.hypot(along, across), 0.5 / side), dtype=np.float32)


def _waveform(phase: npt.NDArray[np.floating], shape: int) -> npt.NDArray[np.floating]:
    if shape == 0:
        return np.asarray(np.sin(phase))
    if shape == 1:
        return np.asarray(np.tanh(4 * np.sin(phase)))
    saw = (phase / (2 * math.pi)) % 1.0
    return 2 * saw - 1 if shape == 2 else np.maximum(np.sin(phase), 0) ** 4


def _places(side: int, pitch: float, shake: float, sample: np.random.Generator) -> npt.NDArray[np.float64]:
    """Points (x, y) [N, 2], on a grid of about `pitch` that fits the tile, shaken by a share of it."""
    count = max(2, round(side / pitch))
    step = side / count
    ticks = np.arange(count) * step
    nodes = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    return np.asarray(
        (nodes + sample.normal(0, shake * step, nodes.shape) + sample.uniform(0, step, 2)) % side
    )


def _stamp(
    canvas: Plane,
    shape: int,
    centre: npt.NDArray[np.float64],
    size: float,
    angle: float,
    wide: float,
    level: float,
) -> None:
    at = (round(centre[0] * 16), round(centre[1] * 16))
    thin = max(1, round(0.35 * size))
    degrees = math.degrees(angle)
    if shape == 0:
        cv2.circle(canvas, at, round(size * 16), level, -1, cv2.LINE_8, 4)
    elif shape == 1:
        cv2.circle(canvas, at, round(size * 16), level, thin, cv2.LINE_8, 4)
    elif shape == 2:
        axes = (round(size * 16), round(size * wide * 16))
        cv2.ellipse(canvas, at, axes, degrees, 0, 360, level, -1, cv2.LINE_8, 4)
    else:
        box = cv2.boxPoints(((float(centre[0]), float(centre[1])), (2 * size, 2 * size * wide), degrees))
        corners = [np.rint(box * 16).astype(np.int32)]
        if shape == 3:
            cv2.fillPoly(canvas, corners, level, cv2.LINE_8, 4)
        elif shape == 4:
            cv2.polylines(canvas, corners, True, level, 1, cv2.LINE_8, 4)
        else:
            cv2.fillPoly(canvas, [corners[0][:3]], level, cv2.LINE_8, 4)
