"""From the photo to the model's input and back: what is seen in the map is found again in the photo."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.preprocessing import DEFAULT_AREA, Preprocessing, default_size
from models.regions import find_regions
from models.resizing import map_on_photo, resize

SIDES = st.integers(64, 700)


def seen(tensor: np.ndarray, stride: int = 4) -> np.ndarray:
    """An anomaly map that is high where the tensor is bright: the mean of each cell, float32 [h, w]."""
    height, width = tensor.shape[0] // stride, tensor.shape[1] // stride
    cells = tensor[..., 0].reshape(height, stride, width, stride).astype(np.float32)
    return cells.mean(axis=(1, 3))


@settings(max_examples=150)
@given(
    height=SIDES,
    width=SIDES,
    model=st.sampled_from([(224, 224), (352, 144), (144, 352), (64, 256)]),
    x=st.floats(0.2, 0.8),
    y=st.floats(0.2, 0.8),
)
def test_a_bright_blob_is_found_where_it_was_painted(
    height: int, width: int, model: tuple[int, int], x: float, y: float
) -> None:
    preprocessing = Preprocessing(height=model[0], width=model[1])
    place = preprocessing.place(height, width)
    # Large enough to fill several cells of the map in both directions.
    half_y = math.ceil(8 * height / place.height)
    half_x = math.ceil(8 * width / place.width)
    centre_y, centre_x = round(y * height), round(x * width)
    top, left = max(0, centre_y - half_y), max(0, centre_x - half_x)
    bottom, right = min(height, centre_y + half_y), min(width, centre_x + half_x)
    photo = np.zeros((height, width, 3), np.uint8)
    photo[top:bottom, left:right] = 255

    on_photo = map_on_photo(seen(preprocessing.apply(photo)), model, place)
    region = find_regions(on_photo, 128.0, place)[0]

    cell_y, cell_x = 4 * height / place.height, 4 * width / place.width
    assert on_photo.shape == (place.height, place.width)
    assert region.box.x == pytest.approx(left, abs=cell_x + 1)
    assert region.box.y == pytest.approx(top, abs=cell_y + 1)
    assert region.box.x + region.box.width == pytest.approx(right, abs=cell_x + 1)
    assert region.box.y + region.box.height == pytest.approx(bottom, abs=cell_y + 1)


@given(height=st.integers(1, 5000), width=st.integers(1, 5000))
def test_a_photo_lies_wholly_inside_the_input_and_keeps_its_shape(height: int, width: int) -> None:
    preprocessing = Preprocessing(height=224, width=224, max_stretch=1.2)
    place = preprocessing.place(height, width)
    assert 0 <= place.top <= place.top + place.height <= 224
    assert 0 <= place.left <= place.left + place.width <= 224
    if place.letterboxed:
        assert 224 in (place.height, place.width)
        scale = min(224 / height, 224 / width)
        assert place.height == pytest.approx(max(1, height * scale), abs=0.51)
        assert place.width == pytest.approx(max(1, width * scale), abs=0.51)
    else:
        assert (place.height, place.width, place.top, place.left) == (224, 224, 0, 0)
        assert 1 / 1.2001 <= height / width <= 1.2001


def test_a_shape_just_inside_the_stretch_is_stretched_and_one_just_outside_is_letterboxed() -> None:
    preprocessing = Preprocessing(height=224, width=224, max_stretch=1.2)
    assert not preprocessing.place(1200, 1000).letterboxed
    assert preprocessing.place(1201, 1000).letterboxed
    assert not preprocessing.place(1000, 1200).letterboxed
    assert preprocessing.place(1000, 1201).letterboxed


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (1, 3), (3000, 2), (224, 224)])
def test_photos_of_any_shape_become_the_input_size(size: tuple[int, int]) -> None:
    tensor = Preprocessing(height=224, width=144).apply(np.full((*size, 3), 77, np.uint8))
    assert tensor.shape == (224, 144, 3)
    assert tensor.dtype == np.uint8
    assert np.unique(tensor).tolist() == [77]


def test_the_borders_of_a_letterboxed_photo_mirror_it() -> None:
    photo = np.repeat(np.arange(0, 224, dtype=np.uint8)[:, None, None], 3, axis=2).repeat(448, axis=1)
    preprocessing = Preprocessing(height=224, width=224)
    place, tensor = preprocessing.place(224, 448), preprocessing.apply(photo)
    assert (place.top, place.height) == (56, 112)
    np.testing.assert_array_equal(tensor[55], tensor[57])
    np.testing.assert_array_equal(tensor[168], tensor[166])


def test_shrinking_takes_the_mean_of_what_a_pixel_covers() -> None:
    points = np.zeros((64, 64), np.uint8)
    points[::8, ::8] = 192  # One pixel of the 8 x 8 that become one: point sampling would lose it.
    assert np.unique(resize(points, 8, 8)).tolist() == [3]


def test_a_photo_of_the_right_size_is_not_touched() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Preprocessing(height=32, width=48).apply(photo), photo)


@given(row=st.integers(0, 27), column=st.integers(0, 27), shape=st.sampled_from([(224, 224), (90, 400)]))
def test_the_largest_value_of_the_map_is_kept_on_the_photo(
    row: int, column: int, shape: tuple[int, int]
) -> None:
    anomaly_map = np.zeros((28, 28), np.float32)
    anomaly_map[row, column] = 5.0
    place = Preprocessing(height=224, width=224).place(*shape)
    on_photo = map_on_photo(anomaly_map, (224, 224), place)
    assert on_photo.max() == 5.0
    assert find_regions(on_photo, 5.0, place)


@pytest.mark.parametrize(
    ("photos", "expected"),
    [
        ([(700, 700)], (224, 224)),
        ([(2048, 2448)], (208, 240)),
        ([(1260, 500)], (352, 144)),
        ([(285, 700)], (144, 352)),
    ],
)
def test_the_default_size_keeps_the_photos_aspect(
    photos: list[tuple[int, int]], expected: tuple[int, int]
) -> None:
    assert default_size(photos) == expected


def test_the_commonest_shape_decides() -> None:
    assert default_size([(500, 500)] * 3 + [(1260, 500)] * 5 + [(500, 1260)] * 2) == (352, 144)
    assert default_size(iter([(500, 500), (505, 500), (500, 505), (900, 300)])) == (224, 224)


@settings(max_examples=25)
@given(ratio=st.floats(0.25, 4.0))
def test_the_default_size_has_about_the_default_area_and_fits_the_model(ratio: float) -> None:
    height, width = default_size([(1000, max(1, round(1000 * ratio)))])
    assert Preprocessing(height=height, width=width)
    assert height * width == pytest.approx(DEFAULT_AREA, rel=0.15)
    assert width / height == pytest.approx(ratio, rel=0.12)


@pytest.mark.parametrize("photo", [(1, 10_000), (10_000, 1), (1, 1)])
def test_extreme_shapes_still_give_a_size(photo: tuple[int, int]) -> None:
    height, width = default_size([photo])
    assert Preprocessing(height=height, width=width)


def test_no_photos_give_no_size() -> None:
    with pytest.raises(ValueError, match="there are none"):
        default_size([])


@pytest.mark.parametrize(
    "wrong", [{"height": 100}, {"width": 0}, {"white_level": 70_000}, {"max_stretch": 0.9}]
)
def test_sizes_the_model_cannot_take_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Preprocessing(**{"height": 224, "width": 224, **wrong})
