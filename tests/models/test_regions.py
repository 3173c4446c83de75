"""Defect regions: connected places that reach the limit, in pixels of the photo."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.preprocessing import Preprocessing
from models.regions import MAX_REGIONS, find_regions

PLACE = Preprocessing(height=64, width=64).place(640, 640)


def empty_map() -> np.ndarray:
    return np.zeros((64, 64), np.float32)


def test_a_map_below_the_limit_has_no_regions() -> None:
    assert find_regions(np.full((64, 64), 2.999, np.float32), 3.0, PLACE) == []


def test_a_region_has_its_box_area_and_peak_in_pixels_of_the_photo() -> None:
    anomaly_map = empty_map()
    anomaly_map[10:14, 20:26] = 3.0
    anomaly_map[11, 22] = 7.5
    (region,) = find_regions(anomaly_map, 3.0, PLACE)
    assert region.box.model_dump() == {"x": 200, "y": 100, "width": 60, "height": 40}
    assert (region.area, region.peak) == (2400, 7.5)


def test_places_that_touch_at_a_corner_are_one_region() -> None:
    anomaly_map = empty_map()
    anomaly_map[5, 5] = anomaly_map[6, 6] = 4.0
    assert len(find_regions(anomaly_map, 3.0, PLACE)) == 1


def test_the_highest_peak_comes_first_and_is_never_lost_among_many() -> None:
    anomaly_map = empty_map()
    anomaly_map[::2, ::2] = 4.0
    anomaly_map[62, 62] = 9.0
    regions = find_regions(anomaly_map, 3.0, PLACE)
    assert len(regions) == MAX_REGIONS
    assert regions[0].peak == 9.0
    assert regions[0].box.x == 620


def test_a_peak_in_a_neighbours_box_is_not_taken_for_ones_own() -> None:
    anomaly_map = empty_map()
    anomaly_map[10:20, 10] = anomaly_map[10, 10:20] = 4.0
    anomaly_map[15, 15] = 9.0
    assert [region.peak for region in find_regions(anomaly_map, 3.0, PLACE)] == [9.0, 4.0]


@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    row=st.integers(0, 10_000),
    column=st.integers(0, 10_000),
)
def test_boxes_lie_inside_photos_of_any_size(height: int, width: int, row: int, column: int) -> None:
    place = Preprocessing(height=64, width=64).place(height, width)
    anomaly_map = np.zeros((place.height, place.width), np.float32)
    anomaly_map[row % place.height, column % place.width] = 5.0
    (region,) = find_regions(anomaly_map, 5.0, place)
    box = region.box
    assert box.width >= 1
    assert box.height >= 1
    assert 0 <= box.x < box.x + box.width <= width
    assert 0 <= box.y < box.y + box.height <= height
    assert region.area >= 1
