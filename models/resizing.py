"""The one way from a photo's pixels to the model's input, and back from the map to the photo."""

import cv2
import numpy as np
import numpy.typing as npt

from models.preprocessing import Placement


def fill(pixels: npt.NDArray[np.uint8], place: Placement, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Resize RGB pixels uint8 [H, W, 3] to their place, and mirror them outwards up to [height, width, 3]."""
    inner = resize(pixels, place.height, place.width)
    if not place.letterboxed:
        return inner
    bottom = height - place.top - place.height
    right = width - place.left - place.width
    return np.asarray(
        cv2.copyMakeBorder(inner, place.top, bottom, place.left, right, cv2.BORDER_REFLECT_101),
        dtype=np.uint8,
    )


def resize(pixels: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """Resize uint8 [H, W] or [H, W, 3]: area interpolation when shrinking, linear when enlarging."""
    if pixels.shape[:2] == (height, width):
        return pixels
    shrinks = height * width < pixels.shape[0] * pixels.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=interpolation), dtype=np.uint8)


def map_on_photo(
    anomaly_map: npt.NDArray[np.float32], size: tuple[int, int], place: Placement
) -> npt.NDArray[np.float32]:
    """Cut the photo's own part out of a map over the model's input.

    Args:
        anomaly_map: float32 [h, w] on the model's grid.
        size: the model's input (height, width) in pixels.
        place: where the photo lay in that input.

    Returns:
        float32 [place.height, place.width]: the map at the scale of the input, without the mirrored
        borders and turned back to how the photo lay, linearly interpolated (grid cells are centred on the
        pixels they cover); 0 where the model saw nothing of the photo. Its largest value is the map's, so
        that a photo whose score reaches the limit has a place that does.
    """
    wide = cv2.resize(anomaly_map, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    full = np.asarray(wide, np.float32)
    on_photo = np.array(turned_back(full, place))
    # Interpolation flattens the peak, and what is no photo may hold it: a mirrored border, or what a photo
    # that was turned does not cover.
    at = int(on_photo.argmax()) if place.pose is None else _nearest(full, place)
    on_photo.flat[at] = anomaly_map.max()
    return on_photo


def turned_back(values: npt.NDArray[np.float32], place: Placement) -> npt.NDArray[np.float32]:
    """What lies over the model's input, float32 [height, width], as it lies over the photo itself.

    Returns:
        float32 [place.height, place.width], 0 where the model saw nothing of the photo.
    """
    if place.pose is not None:
        size = (values.shape[1], values.shape[0])
        values = np.asarray(cv2.warpAffine(values, _matrix(place), size, flags=cv2.INTER_LINEAR), np.float32)
    return values[place.top : place.top + place.height, place.left : place.left + place.width]


def own_part(place: Placement, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Which pixels of the model's input, bool [height, width], show the photo itself, and nothing made up."""
    own = np.zeros((height, width), np.uint8)
    own[place.top : place.top + place.height, place.left : place.left + place.width] = 1
    if place.pose is not None:
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        own = np.asarray(cv2.warpAffine(own, _matrix(place), (width, height), flags=flags), np.uint8)
    return own > 0


def _nearest(full: npt.NDArray[np.float32], place: Placement) -> int:
    """The index of the photo's pixel that is nearest to a map's peak, of the photo as it lay before."""
    y, x = divmod(int(full.argmax()), full.shape[1])
    column, row = _matrix(place) @ (x, y, 1.0) - (place.left, place.top)
    row, column = np.clip(np.rint((row, column)), 0, (place.height - 1, place.width - 1)).astype(int)
    return int(row) * place.width + int(column)


def _matrix(place: Placement) -> npt.NDArray[np.float64]:
    return np.array(place.pose, np.float64).reshape(2, 3)
