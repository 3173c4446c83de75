"""The raw map travels inside the overlay's file, and whoever shows the picture does not notice."""

import cv2
import numpy as np
import pytest

from models.formats import OverlayFormat
from models.heat_map import HeatMap, attach_map, read_map
from models.manifest import HeatmapScale
from models.overlay import encode_picture
from models.preprocessing import Placement, Preprocessing

SCALE = HeatmapScale(start=2.4, limit=3.0, top=6.0)


def heat_map(grid: tuple[int, int] = (28, 28), seed: int = 0) -> HeatMap:
    values = np.random.default_rng(seed).gamma(2.0, 1.5, grid).astype(np.float32)
    size = (8 * grid[0], 8 * grid[1])
    return HeatMap(values, size, Preprocessing(height=224, width=224).place(600, 600), SCALE)


def picture(form: OverlayFormat) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    return encode_picture(pixels, form)


@pytest.mark.parametrize("form", ["jpeg", "png"])
@pytest.mark.parametrize("grid", [(28, 28), (1, 3), (256, 192)])
def test_the_map_comes_back_and_the_picture_stays_the_same(
    form: OverlayFormat, grid: tuple[int, int]
) -> None:
    heat, plain = heat_map(grid), picture(form)
    place = Placement(600, 400, 0, 0, 8 * grid[0], 8 * grid[1], letterboxed=False)
    heat = HeatMap(heat.values, heat.size, place, SCALE)
    both = attach_map(plain, form, heat)
    found = read_map(both)
    assert found is not None
    assert np.abs(found.values - heat.values).max() <= 0.51 * heat.values.max() / 65535
    assert (found.size, found.place, found.scale) == (heat.size, heat.place, heat.scale)
    assert found.on_photo().shape == (8 * grid[0], 8 * grid[1])
    shown = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in (plain, both)]
    assert np.array_equal(*shown)


def test_the_map_of_an_ordinary_photo_costs_two_kilobytes() -> None:
    plain = picture("jpeg")
    assert len(attach_map(plain, "jpeg", heat_map())) - len(plain) < 2048


def test_a_map_of_nothing_comes_back() -> None:
    heat = heat_map()
    still = HeatMap(np.zeros_like(heat.values), heat.size, heat.place, SCALE)
    found = read_map(attach_map(picture("jpeg"), "jpeg", still))
    assert found is not None
    assert not found.values.any()


@pytest.mark.parametrize("form", ["jpeg", "png"])
def test_a_picture_without_a_map_has_none(form: OverlayFormat) -> None:
    assert read_map(picture(form)) is None
    assert read_map(b"") is None


@pytest.mark.parametrize("form", ["jpeg", "png"])
def test_a_damaged_map_is_never_read_as_another(form: OverlayFormat) -> None:
    heat = heat_map()
    whole = attach_map(picture(form), form, heat)
    start = whole.index(b'{"version"')
    for at in range(start - 6, start + 1000, 7):
        broken = bytearray(whole)
        broken[at] ^= 0xFF
        with pytest.raises(ValueError, match="damaged"):
            read_map(bytes(broken))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_map_without_numbers_is_not_kept(bad: float) -> None:
    heat = heat_map()
    values = heat.values.copy()
    values[3, 4] = bad
    with pytest.raises(ValueError, match="finite"):
        attach_map(picture("jpeg"), "jpeg", HeatMap(values, heat.size, heat.place, SCALE))


def test_what_lies_below_nought_is_nought() -> None:
    heat = heat_map()
    values = heat.values - 1.0
    found = read_map(attach_map(picture("jpeg"), "jpeg", HeatMap(values, heat.size, heat.place, SCALE)))
    assert found is not None
    assert np.allclose(found.values, values.clip(0.0), atol=1e-3)
