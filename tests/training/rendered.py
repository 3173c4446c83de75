"""Parts as the model may see them, turned or not."""

from pathlib import Path

import numpy as np

from models.preprocessing import Preprocessing
from models.sight import Sight
from tests.turned_bundle import turned_part
from training.data.samples import Sample
from training.data.splits import Split
from training.registering import SeenPhotos
from training.rendering.demo import render_photo

SIDE = 112


def brackets(count: int, *, turned: bool, first: int = 0) -> np.ndarray:
    """Photos of good ones, uint8 [count, SIDE, SIDE, 3], RGB; `first` seeds the first of them."""
    drawn = [
        render_photo((SIDE, SIDE), None, np.random.default_rng(seed), turned=turned)[0]
        for seed in range(first, first + count)
    ]
    return np.asarray(drawn, np.uint8).reshape(-1, SIDE, SIDE, 3)


def parts(count: int, *, turned: bool, first: int = 0) -> np.ndarray:
    """The same of the plain part of `turned_part`, which costs next to nothing."""
    drawn = []
    for seed in range(first, first + count):
        rng = np.random.default_rng(seed)
        angle, right, down = (rng.uniform(-180, 180), *rng.uniform(-0.08, 0.08, 2)) if turned else (0, 0, 0)
        drawn.append(turned_part(angle, right, down, size=(SIDE, SIDE), seed=seed))
    return np.asarray(drawn, np.uint8).reshape(-1, SIDE, SIDE, 3)


def as_they_lie(*, turned: bool, strays: dict[str, tuple[str, np.ndarray]] | None = None) -> SeenPhotos:
    """24 clean photos to learn from, 16 to calibrate on and none to test.

    Args:
        strays: by split one more photo and its label.
    """
    images, shares = {}, []
    for name, count, first in (("train", 24, 0), ("calibration", 16, 100), ("test", 0, 200)):
        images[name] = parts(count, turned=turned, first=first)
        labels = ["clean"] * count
        if strays and name in strays:
            label, more = strays[name]
            images[name] = np.concatenate([images[name], more])
            labels += [label] * len(more)
        named = [(f"{name}{row}", label) for row, label in enumerate(labels)]
        shares.append(tuple(Sample(Path(n), n, label, n, SIDE, SIDE) for n, label in named))
    return SeenPhotos.plain(Split(*shares), Sight(Preprocessing(height=SIDE, width=SIDE)), images)
