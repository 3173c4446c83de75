"""Photos for benchmarks: rendered brackets, half of them scratched, as a camera would send them."""

from collections.abc import Sequence
from pathlib import Path

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


def given_photos(folder: Path | None, count: int) -> Sequence[bytes]:
    """The first JPEGs below a folder; rendered ones without a folder."""
    if folder is None:
        return bracket_photos(count)
    return [path.read_bytes() for path in sorted(folder.rglob("*.jpg"))[:count]]
