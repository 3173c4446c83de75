"""The mean clean part of a bundle, and how photos differ from it."""

from pathlib import Path

import numpy as np
import pytest

from models.bundle import Bundle
from models.errors import BundleError
from models.mean_part import FULL_DIFFERENCE, MEAN_PART, difference_colours, draw_difference, read_mean
from models.preprocessing import Preprocessing
from models.sight import Sight
from tests.tiny_bundle import Pixels, make_tiny_bundle

ALIKE = (12, 12, 12)

SMALL = Sight(Preprocessing(height=64, width=64))


def grey(height: int, width: int, level: int = 128) -> Pixels:
    return np.full((height, width, 3), level, dtype=np.uint8)


def test_a_bundle_gives_its_mean_and_an_older_one_none(tiny_bundle: Path, tmp_path: Path) -> None:
    assert np.array_equal(read_mean(Bundle.open(tiny_bundle)), grey(64, 64))
    older = Bundle.open(make_tiny_bundle(tmp_path, mean=False))
    assert MEAN_PART not in older.manifest.files
    assert read_mean(older) is None


def test_a_mean_that_was_altered_or_is_gone_is_not_shown(tmp_path: Path) -> None:
    bundle = Bundle.open(make_tiny_bundle(tmp_path))
    file = bundle.file(MEAN_PART)
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(BundleError, match=r"mean\.png was altered"):
        read_mean(bundle)
    file.unlink()
    with pytest.raises(BundleError, match=r"mean\.png cannot be read"):
        read_mean(bundle)


def test_like_the_mean_is_black_darker_blue_and_brighter_orange() -> None:
    photo = grey(64, 64)
    photo[:16] = 128 - 2 * FULL_DIFFERENCE
    photo[48:] = 128 + FULL_DIFFERENCE - 1
    drawn = draw_difference(photo, grey(64, 64), SMALL)
    assert drawn.shape == (64, 64, 3)
    assert tuple(drawn[32, 32]) == ALIKE
    red, _, blue = (int(channel) for channel in drawn[4, 4])
    assert blue > red + 80
    red, _, blue = (int(channel) for channel in drawn[60, 60])
    assert red > blue + 80


def test_the_scale_is_one_for_all_photos_and_ends_where_it_says() -> None:
    half, full, more = (
        draw_difference(grey(64, 64, 128 - step), grey(64, 64), Sight(Preprocessing(height=64, width=64)))[
            0, 0
        ]
        for step in (FULL_DIFFERENCE // 2, FULL_DIFFERENCE, 2 * FULL_DIFFERENCE)
    )
    assert np.array_equal(full, more)
    assert not np.array_equal(half, full)
    colours = difference_colours(9)
    assert colours[0] == bytes(full).hex()
    assert colours[4] == bytes(ALIKE).hex()


def test_a_change_of_colour_alone_is_seen() -> None:
    photo = grey(64, 64)
    photo[20:40, 20:40] = (160, 112, 112)
    drawn = draw_difference(photo, grey(64, 64), SMALL)
    assert tuple(drawn[30, 30]) != ALIKE


@pytest.mark.parametrize(
    ("size", "shape"), [((64, 256), (16, 64)), ((256, 64), (64, 16)), ((70, 64), (64, 64))]
)
def test_only_the_photos_own_part_is_drawn(size: tuple[int, int], shape: tuple[int, int]) -> None:
    drawn = draw_difference(grey(*size), grey(64, 64), SMALL)
    assert drawn.shape == (*shape, 3)
