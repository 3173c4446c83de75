"""Photos for benchmarks: rendered brackets, half of them scratched, as a camera would send them."""

from collections.abc import Sequence

import numpy as np

from tests.tiny_bundle import encode
from training.rendering.defects import add_scratch
from training.rendering.demo import render_photo


def bracket_photos(count: int, size: tuple[int, int] = (480, 640)) -> Sequence[bytes]:
    """JPEGs of (height, width) pixels; the same every time."""
    return [
        encode(render_photo(size, add_scratch if n % 2 else None, np.random.default_rng((0, n)))[0], ".jpg")
        for n in range(count)
    ]
