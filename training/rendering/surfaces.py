"""Surface textures and lighting, each float32 [H, W]."""

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
Size = tuple[int, int]


def fine_noise(size: Size, rng: np.random.Generator, sigma: float = 0.0) -> Plane:
    """Gaussian noise of mean 0 and deviation 1 over (height, width), smoothed over `sigma` pixels."""
    coarse = _coarseness(sigma)
    height, width = (math.ceil(side / coarse) for side in size)
    noise = rng.standard_normal((height, width), dtype=np.float32)
    if sigma <= 0:
        return noise
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma / coarse)
    return standardise(cv2.resize(smooth, size[::-1], interpolation=cv2.INTER_CUBIC))


def blur(plane: Plane, sigma: float) -> Plane:
    """Gaussian blur of [H, W] over `sigma` pixels; wide ones are done at a lower resolution, for speed."""
    coarse = _coarseness(sigma)
    if coarse == 1:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), dtype=np.float32)
    height, width = plane.shape
    reduced_size = (math.ceil(width / coarse), math.ceil(height / coarse))
    reduced = cv2.resize(plane, reduced_size, interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(reduced, (0, 0), sigma / coarse)
    return np.asarray(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def brushed_metal(size: Size, rng: np.random.Generator, angle: float = 0.0) -> Plane:
    """Brushing marks along `angle` (degrees, counter-clockwise from the x axis); mean 0, deviation 1."""
    height, width = size
    side = math.ceil(math.hypot(height, width)) + 2
    lines = np.zeros((side, side), dtype=np.float32)
    # Marks of several lengths (in pixels): hair lines, long strokes, and broad bands.
    for length, thickness, weight in ((9, 1, 0.45), (61, 1, 0.8), (241, 3, 0.7), (241, 15, 0.45)):
        coarse = (math.ceil(side / thickness), math.ceil(side / (length // 8)))
        noise = cv2.blur(rng.standard_normal(coarse, dtype=np.float32), (8, 1))
        stretched = cv2.resize(noise, (side, side), interpolation=cv2.INTER_LINEAR)
        lines += np.float32(weight) * standardise(stretched)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 1.0)
    turn[:, 2] += np.array([(width - side) / 2, (height - side) / 2])
    turned = cv2.warpAffine(lines, turn, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    return standardise(turned)


def cast_metal(size: Size, rng: np.random.Generator) -> Plane:
    """The grain of a cast surface: lumps of several sizes and fine pits; mean 0, deviation 1."""
    grain = np.zeros(size, dtype=np.float32)
    for sigma, weight in ((0.8, 1.0), (2.0, 0.8), (6.0, 0.5), (20.0, 0.4)):
        grain += np.float32(weight) * fine_noise(size, rng, sigma)
    pits = np.minimum(fine_noise(size, rng, 1.1) + np.float32(1.9), 0)
    return standardise(grain + np.float32(2.5) * pits)


def lighting_gradient(size: Size, rng: np.random.Generator, strength: float = 0.12) -> Plane:
    """Uneven lighting, a factor around 1: a slope and one broad, soft highlight.

    Args:
        size: height and width in pixels.
        rng: chooses direction and place.
        strength: largest deviation from 1, about.
    """
    y, x = grid(size)
    direction = rng.uniform(0, 2 * math.pi)
    slope = (x * math.cos(direction) + y * math.sin(direction)) * strength * rng.uniform(0.4, 1.0)
    centre_x, centre_y = rng.uniform(-0.7, 0.7, 2)
    highlight = strength * rng.uniform(0.3, 1.0) * np.exp(-((x - centre_x) ** 2 + (y - centre_y) ** 2) / 0.8)
    return np.asarray(1.0 + slope + highlight, dtype=np.float32)


def vignette(size: Size, strength: float = 0.2) -> Plane:
    """The fall-off of a lens, a factor: 1 in the middle, `1 - strength` in the corners."""
    y, x = grid(size)
    return np.asarray(1.0 - strength * (x**2 + y**2) / 2.0, dtype=np.float32)


def grid(size: Size) -> tuple[Plane, Plane]:
    """Coordinates (y [H, 1], x [1, W]), each running from -1 to 1."""
    y = np.linspace(-1, 1, size[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, size[1], dtype=np.float32)[None, :]
    return y, x


def _coarseness(sigma: float) -> int:
    """How many pixels may be put into one without a trace in what is blurred over `sigma` pixels."""
    return max(1, int(sigma / 2))


def standardise(plane: npt.NDArray[Any]) -> Plane:
    """Shift and scale to mean 0 and deviation 1."""
    mean, deviation = cv2.meanStdDev(plane)
    scaled = (plane - np.float32(mean[0, 0])) / np.float32(deviation[0, 0] + 1e-9)
    return np.asarray(scaled, dtype=np.float32)
