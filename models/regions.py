"""Defect regions: where the anomaly map reaches the limit, in pixels of the uploaded photo."""

import cv2
import numpy as np
import numpy.typing as npt

from models.answer import Box, Region
from models.preprocessing import Placement

MAX_REGIONS = 32


def find_regions(photo_map: npt.NDArray[np.float32], limit: float, place: Placement) -> list[Region]:
    """Find the connected regions (8-neighbourhood) of a map that reach the limit, the highest peak first.

    Args:
        photo_map: float32 [h, w] over the photo, as `map_on_photo` returns it.
        limit: map value at which a pixel counts as a defect.
        place: gives the photo's size in pixels.

    Returns:
        At most `MAX_REGIONS` regions.
    """
    mask = (photo_map >= limit).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    height, width = photo_map.shape
    scale_y, scale_x = place.photo_height / height, place.photo_width / width
    regions = []
    for index in range(1, count):
        left, top, box_width, box_height, area = (int(value) for value in stats[index])
        window = np.s_[top : top + box_height, left : left + box_width]
        peak = float(photo_map[window][labels[window] == index].max())
        x, y = int(left * scale_x), int(top * scale_y)
        right = min(place.photo_width, round((left + box_width) * scale_x))
        bottom = min(place.photo_height, round((top + box_height) * scale_y))
        box = Box(x=x, y=y, width=max(1, right - x), height=max(1, bottom - y))
        regions.append(Region(box=box, area=max(1, round(area * scale_x * scale_y)), peak=peak))
    regions.sort(key=lambda region: region.peak, reverse=True)
    return regions[:MAX_REGIONS]
