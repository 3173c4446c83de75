"""Paints one defect on the photo of a good part, so that a person would see it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
import numpy.typing as npt

from training.rendering.defects import Mask, add_dent, add_scratch, add_stain
from training.rendering.parts import Picture
from training.rendering.scuffs import add_scuff

Paint = Callable[[Picture, Mask, np.random.Generator], tuple[Picture, Mask]]

# A defect is drawn anew until it can be seen: at least so many pixels that differ by so many levels of 255,
# and by this share of how much the surface round it varies of itself.
_ATTEMPTS = 10
_FEWEST_PIXELS = 6
_LEVELS = 6.0
_OF_TEXTURE = 0.8


@dataclass(frozen=True)
class Painted:
    """A photo with a painted defect: uint8 [H, W, 3] RGB, and where the defect is, bool [H, W]."""

    pixels: npt.NDArray[np.uint8]
    mask: Mask


def paint(
    pixels: npt.NDArray[np.uint8], surface: Mask, kind: str, rng: np.random.Generator
) -> Painted | None:
    """Paint a defect on a photo; None where none could be painted that can be seen.

    Args:
        pixels: uint8 [H, W, 3], RGB; not changed.
        surface: bool [H, W], where the part is; nothing is changed beside it.
        kind: one of `PAINTERS`.
        rng: draws the defect.
    """
    picture = np.asarray(pixels / np.float32(255), dtype=np.float32)
    grey = bool((pixels == pixels[..., :1]).all())
    for _ in range(_ATTEMPTS if surface.any() else 0):
        changed, mask = PAINTERS[kind](picture, surface, rng)
        if grey:
            # Colour on a photo without any would be a lesson of its own.
            changed = np.repeat(changed.mean(axis=2, keepdims=True), 3, axis=2)
        painted = np.rint(changed * 255).astype(np.uint8)
        if _can_be_seen(pixels, painted, mask, surface):
            return Painted(painted, mask)
    return None


def _scratch(picture: Picture, surface: Mask, rng: np.random.Generator) -> tuple[Picture, Mask]:
    """One to three scratches: grooves, scuffs, or both."""
    mask = np.zeros(surface.shape, dtype=bool)
    for _ in range(int(rng.choice((1, 2, 3), p=(0.6, 0.25, 0.15)))):
        add = add_scratch if rng.random() < 0.3 else add_scuff
        picture, added = add(picture, surface, rng)
        mask |= added
    return picture, mask


def _dent(picture: Picture, surface: Mask, rng: np.random.Generator) -> tuple[Picture, Mask]:
    """A dent, small or large, under a lamp that stands anywhere round the camera."""
    angle, height = rng.uniform(0, 2 * math.pi), rng.uniform(0.5, 0.8)
    low = math.sqrt(1 - height**2)
    light = (low * math.cos(angle), low * math.sin(angle), height)
    return add_dent(picture, surface, rng, light=light, enlarge=math.exp(rng.uniform(0, math.log(3))))


PAINTERS: Mapping[str, Paint] = MappingProxyType({"scratch": _scratch, "dent": _dent, "stain": add_stain})


def _can_be_seen(
    before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8], mask: Mask, surface: Mask
) -> bool:
    if mask.sum() < _FEWEST_PIXELS:
        return False
    reach = 2 * (min(mask.shape) // 32) + 3
    near = cv2.dilate(mask.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    texture = float(before[near & surface].astype(np.float32).std(axis=0).mean())
    change = np.abs(after[mask].astype(np.float32) - before[mask]).max(axis=1).mean()
    return bool(change >= max(_LEVELS, _OF_TEXTURE * texture))
