"""Rendered brackets as the model may see them."""

import numpy as np

from training.rendering.demo import render_photo

SIDE = 128


def brackets(count: int, *, turned: bool, first: int = 0) -> np.ndarray:
    """Photos of good ones, uint8 [count, SIDE, SIDE, 3], RGB; `first` seeds the first of them."""
    drawn = [
        render_photo((SIDE, SIDE), None, np.random.default_rng(seed), turned=turned)[0]
        for seed in range(first, first + count)
    ]
    return np.stack(drawn)
