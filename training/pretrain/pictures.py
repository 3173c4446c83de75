"""Pictures to pretrain on: surfaces with things on them and flaws in them, and what is where.

Every pixel knows its texture class, the kind of thing it belongs to, and the flaw that changed it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from training.rendering.flaws import FLAWS
from training.rendering.parts import Picture
from training.rendering.shapes import KINDS, PARTS, draw_shape
from training.rendering.surfaces import Plane, lighting_gradient, vignette
from training.rendering.textures import render_texture, to_tile, window

Tile = npt.NDArray[np.uint8]
_Scene = tuple[Picture, npt.NDArray[np.int16], npt.NDArray[np.uint8], npt.NDArray[np.uint8], int]

THINGS = KINDS + 1
FLAW_KINDS = len(FLAWS) + 1

# A fresh sample of one texture class is drawn after so many scenes.
_REFRESH = 12

# Photos of one scene, if more than one; each shows another part of it, in other light and focus.
MOST_VIEWS = 2
# Windows of the views start at multiples of so many pixels, a cell of layer3, and differ by so many of them.
STEP = 16
_STEPS = 2  # at most; small views by fewer, so that all overlap


@dataclass(frozen=True)
class Example:
    """A picture and its labels.

    Attributes:
        pixels: uint8 [H, W, 3], RGB.
        textures: int16 [H, W], texture class.
        things: uint8 [H, W], 0 for none, else 1 + the kind of thing.
        flaws: uint8 [H, W], 0 for none, else 1 + the index in `FLAWS`.
        surface: texture class of the surface that lies under everything.
        corner: row and column of its upper left pixel in the scene, multiples of `STEP`.
    """

    pixels: npt.NDArray[np.uint8]
    textures: npt.NDArray[np.int16]
    things: npt.NDArray[np.uint8]
    flaws: npt.NDArray[np.uint8]
    surface: int
    corner: tuple[int, int] = (0, 0)


class Textures:
    """One tile of each texture class, replaced by fresh samples now and then."""

    def __init__(self, classes: int, seed: int) -> None:
        self._seed = seed
        self._tiles = [self._sample(number, 0) for number in range(classes)]

    def __len__(self) -> int:
        return len(self._tiles)

    def __getitem__(self, number: int) -> Tile:
        return self._tiles[number]

    def refresh(self, number: int, sample: int) -> None:
        """Replace the tile of one class by its sample of this number."""
        self._tiles[number] = self._sample(number, sample)

    def _sample(self, number: int, sample: int) -> Tile:
        rng = np.random.default_rng((self._seed, 1, number, sample))
        return to_tile(render_texture(number, rng, seed=self._seed))


def render_views(textures: Textures, index: int, size: int, seed: int) -> list[Example]:
    """`MOST_VIEWS` pictures [size, size] of scene number `index` of the series `seed`.

    They overlap. Now and then it draws a fresh tile first.
    """
    rng = np.random.default_rng((seed, 2, index))
    steps = min(_STEPS, size // STEP - 1)
    scene, labels, things, flaws, surface = _scene(textures, index, size + steps * STEP, rng)
    views = []
    for _ in range(MOST_VIEWS):
        photo = _take(scene, rng)
        row, column = (STEP * int(rng.integers(steps + 1)) for _ in range(2))
        part = np.s_[row : row + size, column : column + size]
        views.append(Example(photo[part], labels[part], things[part], flaws[part], surface, (row, column)))
    return views


def render_example(textures: Textures, index: int, size: int, seed: int) -> Example:
    """One picture of scene number `index` of the series `seed`, whole, [size, size]."""
    rng = np.random.default_rng((seed, 2, index))
    scene, labels, things, flaws, surface = _scene(textures, index, size, rng)
    return Example(_take(scene, rng), labels, things, flaws, surface)


def _scene(textures: Textures, index: int, size: int, rng: np.random.Generator) -> _Scene:
    """What is to be photographed, its labels as in `Example`, and the class of its ground."""
    if index % _REFRESH == 0:
        textures.refresh(int(rng.integers(len(textures))), index)
    light = rng.uniform(0, 2 * math.pi)
    towards = np.array([math.cos(light), math.sin(light)], dtype=np.float32)
    surface = int(rng.integers(len(textures)))
    picture = _surface(textures[surface], size, towards, rng)
    labels = np.full((size, size), surface, dtype=np.int16)
    things = np.zeros((size, size), dtype=np.uint8)
    for _ in range(int(rng.choice(4, p=(0.5, 0.3, 0.15, 0.05)))):
        kind = int(rng.integers(PARTS) if rng.random() < 0.6 else rng.integers(PARTS, KINDS))
        small, large = (0.14, 0.5) if kind < PARTS else (0.1, 0.3)
        cover = draw_shape(kind, size, size * math.exp(rng.uniform(math.log(small), math.log(large))), rng)
        number = int(rng.integers(len(textures)))
        own = kind < PARTS and rng.random() < 0.75
        picture = _lay(picture, cover, textures[number] if own else None, towards, rng)
        inside = cover > 0.5
        things[inside] = kind + 1
        if own:
            labels[inside] = number
    picture, flaws = _spoil(picture, rng)
    return picture, labels, things, flaws, surface


def _surface(tile: Tile, size: int, towards: npt.NDArray[np.float32], rng: np.random.Generator) -> Picture:
    """A lit surface [size, size, 3] of one texture: its albedo varies, or its height, or both."""
    plane = window(tile, size, math.exp(rng.uniform(math.log(0.7), math.log(1.4))), rng)
    albedo, relief = ((1, 0), (0.25, 1), (0.6, 0.6))[rng.integers(3)]
    shade = np.float32(albedo) * plane
    if relief:
        slope_x = cv2.Sobel(plane, cv2.CV_32F, 1, 0, scale=0.25)
        slope_y = cv2.Sobel(plane, cv2.CV_32F, 0, 1, scale=0.25)
        shade = shade + np.float32(relief) * (towards[0] * slope_x + towards[1] * slope_y)
    contrast = math.exp(rng.uniform(math.log(0.15), math.log(0.5)))
    level = rng.uniform(0.12, 0.8)
    colour = 1 + _tint(rng)
    change = np.float32(contrast) * (1 + _tint(rng))
    lit = np.float32(level) * colour * (1 + shade[..., None] * change)
    return np.asarray(np.clip(lit, 0, 1), dtype=np.float32)


def _tint(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """How the three channels deviate: mostly hardly, as on metal, sometimes strongly."""
    strength = 0.03 if rng.random() < 0.65 else 0.3
    return np.asarray(rng.normal(0, strength, 3), dtype=np.float32)


def _lay(
    below: Picture,
    cover: Plane,
    tile: Tile | None,
    towards: npt.NDArray[np.float32],
    rng: np.random.Generator,
) -> Picture:
    """Lay a thing on the picture: raised or sunk, with edges that catch the light, or merely printed."""
    size = len(below)
    if tile is not None:
        above = _surface(tile, size, towards, rng)
    elif rng.random() < 0.4:
        above = below
    else:
        level = rng.uniform(0.03, 0.9) * (1 + _tint(rng))
        above = np.asarray(np.broadcast_to(level, below.shape), dtype=np.float32)
    depth = rng.choice([-1, 1]) * rng.uniform(0.3, 1.6) if rng.random() < 0.75 or above is below else 0.0
    if depth:
        soft = cv2.GaussianBlur(cover, (0, 0), rng.uniform(0.6, 2.5))
        slope_x = cv2.Sobel(soft, cv2.CV_32F, 1, 0, scale=0.25)
        slope_y = cv2.Sobel(soft, cv2.CV_32F, 0, 1, scale=0.25)
        edge = 1 - np.float32(depth) * (towards[0] * slope_x + towards[1] * slope_y)
        above, below = above * edge[..., None], below * np.minimum(edge, 1.2)[..., None]
    if depth > 0 and rng.random() < 0.6:
        length = rng.uniform(1, 5)
        move = np.array([[1, 0, towards[0] * length], [0, 1, towards[1] * length]])
        shadow = cv2.GaussianBlur(cv2.warpAffine(cover, move, (size, size)), (0, 0), rng.uniform(0.8, 3))
        below = below * (1 - np.float32(rng.uniform(0.2, 0.7)) * shadow)[..., None]
    return np.asarray(np.clip(below + cover[..., None] * (above - below), 0, 1), dtype=np.float32)


def _spoil(picture: Picture, rng: np.random.Generator) -> tuple[Picture, npt.NDArray[np.uint8]]:
    flaws = np.zeros(picture.shape[:2], dtype=np.uint8)
    for _ in range(int(rng.choice(3, p=(0.34, 0.4, 0.26)))):
        kind = int(rng.integers(len(FLAWS)))
        picture, mask = FLAWS[kind](picture, rng)
        flaws[mask] = kind + 1
    return picture, flaws


def _take(picture: Picture, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """The photo: uneven light, exposure, focus, noise, sometimes without colour."""
    size = picture.shape[:2]
    light = lighting_gradient(size, rng, rng.uniform(0, 0.45))
    if rng.random() < 0.3:
        light = light * vignette(size, rng.uniform(0, 0.5))
    photo = picture * (light * np.float32(rng.uniform(0.65, 1.4)))[..., None]
    if rng.random() < 0.3:
        grey = photo.mean(axis=2, keepdims=True)
        photo = np.repeat(grey, 3, axis=2)
    elif rng.random() < 0.4:
        photo = photo * (1 + _tint(rng))
    if rng.random() < 0.5:
        photo = cv2.GaussianBlur(photo, (0, 0), rng.uniform(0.3, 1.0))
    photo = np.clip(photo, 0, 1) ** np.float32(rng.uniform(0.7, 1.4))
    noise = math.exp(rng.uniform(math.log(0.001), math.log(0.02)))
    grain = rng.standard_normal(photo.shape if rng.random() < 0.5 else (*size, 1), dtype=np.float32)
    return np.asarray(np.clip(np.rint(255 * (photo + np.float32(noise) * grain)), 0, 255), dtype=np.uint8)


def mosaic(examples: Sequence[Example], columns: int = 12) -> npt.NDArray[np.uint8]:
    """Examples side by side, each above its flaws, to look at: uint8 [H, W, 3] RGB."""
    cells = [
        np.vstack([e.pixels, np.repeat((e.flaws[..., None] > 0).astype(np.uint8) * 255, 3, axis=2)])
        for e in examples
    ]
    rows = [np.hstack(cells[i : i + columns]) for i in range(0, len(cells) - columns + 1, columns)]
    return np.vstack(rows)
