"""Small disturbances: each does what it says, by as much as it says, and from one seed the same again."""

from itertools import pairwise

import numpy as np
import pytest

from models.preprocessing import Placement, Preprocessing
from tests.tiny_bundle import Pixels, clean_photo
from training.gauge.disturbances import Amplitudes, Disturbance, draw

SIDE, WAVE = 128, 32
CONTENT, OTHER = "ab" * 32, "cd" * 32


def placed(pixels: Pixels, size: tuple[int, int] = (64, 64)) -> Placement:
    return Preprocessing(height=size[0], width=size[1]).place(*pixels.shape[:2])


def waves(axis: int) -> Pixels:
    """Grey waves along the rows or the columns."""
    place = np.mgrid[:SIDE, :SIDE][axis]
    light = 128 + 100 * np.sin(2 * np.pi * place / WAVE)
    return np.repeat(np.rint(light)[..., None], 3, axis=2).astype(np.uint8)


def moved_by(disturbance: Disturbance, size: tuple[int, int] = (64, 64)) -> tuple[float, float]:
    """How far a photo moved, down and to the right, in its own pixels: from the phases of waves."""
    found = []
    for axis in (0, 1):
        photo = waves(axis)
        moved = disturbance.apply(photo, placed(photo, size))
        found.append((_phase(photo, axis) - _phase(moved, axis)) * WAVE / (2 * np.pi))
    return found[0], found[1]


def _phase(pixels: Pixels, axis: int) -> float:
    inside = pixels[WAVE // 2 : -WAVE // 2, WAVE // 2 : -WAVE // 2, 0].astype(np.float64)
    along = inside.mean(axis=1 - axis)
    return float(np.angle(along @ np.exp(-2j * np.pi * np.arange(len(along)) / WAVE)))


def test_no_disturbance_leaves_every_pixel_as_it_is() -> None:
    photo = clean_photo(seed=3)
    np.testing.assert_array_equal(Disturbance().apply(photo, placed(photo)), photo)


def test_whole_pixels_move_without_a_change_and_the_edge_is_repeated() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    # The input is half as large: one of its pixels is two of the photo.
    moved = Disturbance(right=1.0, down=-0.5).apply(photo, placed(photo))
    np.testing.assert_array_equal(moved[:-1, 2:], photo[1:, :-2])
    np.testing.assert_array_equal(moved[:-1, 0], photo[1:, 0])
    np.testing.assert_array_equal(moved[-1, 2:], photo[-1, :-2])


@pytest.mark.parametrize(("right", "down"), [(0.25, 0.0), (-0.3, 0.45), (0.9, -0.7)])
def test_parts_of_a_pixel_move_the_part_by_so_much_in_the_models_scale(right: float, down: float) -> None:
    expected = (pytest.approx(2 * down, abs=0.01), pytest.approx(2 * right, abs=0.01))
    assert moved_by(Disturbance(right=right, down=down)) == expected


def test_a_letterboxed_photo_moves_by_the_scale_it_is_shown_at() -> None:
    assert placed(waves(0), (64, 160)).letterboxed
    _, right = moved_by(Disturbance(right=0.7), (64, 160))
    assert right == pytest.approx(0.7 * SIDE / 64, abs=0.01)


def test_light_multiplies_and_ends_at_white() -> None:
    photo = np.array([[[0, 100, 254]]], dtype=np.uint8)
    place = placed(photo)
    np.testing.assert_array_equal(Disturbance(gain=1.02).apply(photo, place), [[[0, 102, 255]]])
    np.testing.assert_array_equal(Disturbance(gain=0.98).apply(photo, place), [[[0, 98, 249]]])


def test_noise_is_as_strong_as_asked_and_centred() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = Disturbance(noise=3.0, seed=(1,)).apply(grey, placed(grey)).astype(np.float64) - 128
    assert noisy.mean() == pytest.approx(0.0, abs=0.1)
    assert noisy[..., 0].std() == pytest.approx((9.0 + 1 / 12) ** 0.5, rel=0.03)
    assert (noisy[..., 0] == noisy[..., 2]).all(), "a grey photo stays grey"


def test_the_channels_of_a_colour_photo_have_noise_of_their_own() -> None:
    photo = np.full((200, 200, 3), (90, 128, 160), np.uint8)
    noisy = Disturbance(noise=3.0, seed=(1,)).apply(photo, placed(photo)).astype(np.float64)
    assert abs(np.corrcoef(noisy[..., 0].ravel(), noisy[..., 1].ravel())[0, 1]) < 0.05


def test_what_is_drawn_depends_on_the_seed_and_the_photo_alone() -> None:
    first = draw(Amplitudes(), 5, seed=7, content=CONTENT)
    assert draw(Amplitudes(), 5, seed=7, content=CONTENT) == first
    assert draw(Amplitudes(), 5, seed=8, content=CONTENT) != first
    assert draw(Amplitudes(), 5, seed=7, content=OTHER) != first
    photo = clean_photo()
    noise = [each.apply(photo, placed(photo)) for each in first["noise"]]
    assert not any((a == b).all() for a, b in pairwise(noise)), "each has its own noise"


def test_together_is_the_repeats_of_each_alone() -> None:
    drawn = draw(Amplitudes(2.0, 0.1, 3.0), 6, seed=0, content=CONTENT)
    for shift, light, noise, whole in zip(*(drawn[k] for k in drawn), strict=True):
        assert (shift.right, shift.down) == (whole.right, whole.down)
        assert light.gain == whole.gain
        assert (noise.noise, noise.seed) == (whole.noise, whole.seed)
        assert (shift.gain, shift.noise, light.right, light.noise, noise.down, noise.gain) == (
            1,
            0,
            0,
            0,
            0,
            1,
        )


def test_draws_fill_the_range_and_never_leave_it() -> None:
    drawn = draw(Amplitudes(2.0, 0.1, 3.0), 1000, seed=0, content=CONTENT)["together"]
    for values, largest in (
        ([d.right for d in drawn], 2.0),
        ([d.down for d in drawn], 2.0),
        ([d.gain - 1.0 for d in drawn], 0.1),
    ):
        assert max(map(abs, values)) <= largest
        assert min(values) < -0.9 * largest
        assert max(values) > 0.9 * largest


def test_what_has_no_amplitude_is_left_out_and_one_alone_needs_no_together() -> None:
    assert Amplitudes().kinds() == ("shift", "light", "noise", "together")
    assert Amplitudes(light=0.0).kinds() == ("shift", "noise", "together")
    assert Amplitudes(shift=0.0, light=0.0).kinds() == ("noise",)
    assert Amplitudes(0.0, 0.0, 0.0).kinds() == ()
