"""More ways in which a surface can be wrong, for pictures to learn from; compare `defects`.

Each takes a picture float32 [H, W, 3] (RGB, 0..1; not changed) and a generator, and gives the changed picture
and the mask bool [H, W] of what was changed.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from training.rendering.defects import Mask, add_dent, add_scratch, add_stain
from training.rendering.parts import Picture
from training.rendering.surfaces import Plane, fine_noise

Flaw = Callable[[Picture, np.random.Generator], tuple[Picture, Mask]]


def add_crack(picture: Picture, rng: np.random.Generator) -> tuple[Picture, Mask]:
    """A dark, jagged line that wanders and may fork."""
    size = min(picture.shape[:2])
    canvas = np.zeros(picture.shape[:2], dtype=np.uint8)
    thick = int(rng.integers(1, 3))
    starts = [(_somewhere(picture, rng), rng.uniform(0, 2 * math.pi), size * rng.uniform(0.15, 0.6))]
    if rng.random() < 0.4:
        point, heading, length = starts[0]
        starts.append((point, heading + rng.uniform(0.4, 1.2), 0.6 * length))
    for point, heading, length in starts:
        steps = max(4, int(length / 3))
        headings = heading + np.cumsum(rng.normal(0, 0.35, steps))
        path = point + np.cumsum(3 * np.stack([np.cos(headings), np.sin(headings)], axis=1), axis=0)
        cv2.polylines(canvas, [np.rint(path * 16).astype(np.int32)], False, 255, thick, cv2.LINE_AA, 4)
    line = canvas / np.float32(255)
    change = _level(rng, dark=0.85)
    return _scale(picture, 1 + change * line), np.asarray(canvas > 60)


def add_pits(picture: Picture, rng: np.random.Generator) -> tuple[Picture, Mask]:
    """One or several small, round pits or grains, dark or bright, some with a rim on one side."""
    size = min(picture.shape[:2])
    canvas = np.zeros(picture.shape[:2], dtype=np.uint8)
    centre = _somewhere(picture, rng)
    for _ in range(int(rng.integers(1, 9))):
        at = np.rint((centre + rng.normal(0, 0.09 * size, 2)) * 16).astype(int)
        radius = max(1.0, size * rng.uniform(0.008, 0.035))
        cv2.circle(canvas, (int(at[0]), int(at[1])), round(radius * 16), 255, -1, cv2.LINE_AA, 4)
    cover = canvas / np.float32(255)
    rim = np.roll(cover, (1, 1), axis=(0, 1)) * (1 - cover) * np.float32(rng.uniform(0, 0.5))
    change = _level(rng, dark=0.8)
    return _scale(picture, 1 + change * cover - np.sign(change) * rim), np.asarray(cover > 0.4)


def add_rub(picture: Picture, rng: np.random.Generator) -> tuple[Picture, Mask]:
    """A patch where the texture is rubbed away, or rubbed along one direction."""
    patch, mask = _patch(picture, rng, 0.06, 0.2)
    if rng.random() < 0.5:
        smooth = cv2.GaussianBlur(picture, (0, 0), rng.uniform(1.5, 4))
    else:
        length = int(rng.integers(5, 14))
        kernel = cv2.getRotationMatrix2D((length / 2, length / 2), rng.uniform(0, 180), 1.0)
        line = np.zeros((length, length), dtype=np.float32)
        line[length // 2] = 1
        turned = np.asarray(cv2.warpAffine(line, kernel, (length, length)), dtype=np.float32)
        smooth = cv2.filter2D(picture, -1, turned / np.float32(max(1e-3, float(turned.sum()))))
    return _mix(picture, smooth * np.float32(1 + 0.25 * rng.standard_normal()), patch), mask


def add_warp(picture: Picture, rng: np.random.Generator) -> tuple[Picture, Mask]:
    """A patch where edges and texture are pushed aside or twisted, as where a part is bent."""
    height, width = picture.shape[:2]
    size = min(height, width)
    centre, radius = _somewhere(picture, rng), size * rng.uniform(0.1, 0.25)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    near = np.exp(-((dx**2 + dy**2) / radius**2)).astype(np.float32)
    if rng.random() < 0.5:
        turn = near * np.float32(rng.choice([-1, 1]) * rng.uniform(0.6, 1.5))
        from_x, from_y = x - dy * turn, y + dx * turn
    else:
        push = rng.normal(0, 1, 2)
        push *= size * rng.uniform(0.05, 0.12) / max(1e-3, float(np.hypot(*push)))
        from_x, from_y = x + near * np.float32(push[0]), y + near * np.float32(push[1])
    moved = cv2.remap(picture, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(moved, dtype=np.float32), np.asarray(near > 0.45)


def add_foreign(picture: Picture, rng: np.random.Generator) -> tuple[Picture, Mask]:
    """A chip, crumb or missing piece: a small patch of another level, with a sharp edge."""
    patch, mask = _patch(picture, rng, 0.03, 0.12)
    sharp = np.clip((patch - 0.5) * 4 + 0.5, 0, 1)
    level = rng.uniform(0.02, 0.95) + rng.normal(0, 0.06, 3)
    other = np.clip(level * (1 + 0.2 * fine_noise(mask.shape, rng, 0.7)[..., None]), 0, 1)
    return _mix(picture, other.astype(np.float32), sharp), mask


def add_band(picture: Picture, rng: np.random.Generator) -> tuple[Picture, Mask]:
    """A soft patch that is brighter, darker or of another colour than its surroundings."""
    patch, mask = _patch(picture, rng, 0.08, 0.3)
    soft = cv2.GaussianBlur(patch, (0, 0), rng.uniform(0.5, 4))
    change = rng.choice([-1, 1]) * rng.uniform(0.15, 0.45) * np.ones(3)
    if rng.random() < 0.5:
        change = change * rng.uniform(0, 1.4, 3)
    return _scale(picture, 1 + soft[..., None] * change), mask


def _on_all(add: Callable[[Picture, Mask, np.random.Generator], tuple[Picture, Mask]]) -> Flaw:
    return lambda picture, rng: add(picture, np.ones(picture.shape[:2], dtype=bool), rng)


FLAWS: tuple[Flaw, ...] = (
    _on_all(add_scratch),
    _on_all(add_dent),
    _on_all(add_stain),
    add_crack,
    add_pits,
    add_rub,
    add_warp,
    add_foreign,
    add_band,
)


def _patch(picture: Picture, rng: np.random.Generator, least: float, most: float) -> tuple[Plane, Mask]:
    """A ragged, drawn-out patch: cover float32 [H, W] in 0..1, and where it is over one half."""
    height, width = picture.shape[:2]
    size = min(height, width)
    centre, radius = _somewhere(picture, rng), size * rng.uniform(least, most)
    angle, stretch = rng.uniform(0, math.pi), math.exp(rng.uniform(0, 1.1))
    t = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    ragged = np.ones(40)
    for order in range(2, 7):
        ragged += rng.normal(0, 0.3 / order) * np.cos(order * t + rng.uniform(0, 2 * math.pi))
    x, y = radius * stretch * ragged * np.cos(t), radius / stretch * ragged * np.sin(t)
    outline = np.stack(
        [x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)], 1
    )
    canvas = np.zeros((height, width), dtype=np.uint8)
    cv2.fillPoly(canvas, [np.rint((outline + centre) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    cover = np.asarray(canvas / np.float32(255), dtype=np.float32)
    return cover, np.asarray(cover > 0.5)


def _somewhere(picture: Picture, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A point (x, y), not at the very edge."""
    return rng.uniform(0.08, 0.92, 2) * [picture.shape[1], picture.shape[0]]


def _level(rng: np.random.Generator, dark: float) -> float:
    """By how much a line or spot differs: mostly darker."""
    return float(-rng.uniform(0.3, dark) if rng.random() < 0.7 else rng.uniform(0.3, 1.0))


def _scale(picture: Picture, factor: npt.NDArray[np.floating]) -> Picture:
    broad = factor if factor.ndim == 3 else factor[..., None]
    return np.asarray(np.clip(picture * broad, 0, 1), dtype=np.float32)


def _mix(picture: Picture, other: Picture, cover: Plane) -> Picture:
    return np.asarray(np.clip(picture + cover[..., None] * (other - picture), 0, 1), dtype=np.float32)
