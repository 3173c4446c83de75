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
        borders, linearly interpolated (grid cells are centred on the pixels they cover). Its largest
        value is the map's, so that a photo whose score reaches the limit has a place that does.
    """
    full = cv2.resize(anomaly_map, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    inner = full[place.top : place.top + place.height, place.left : place.left + place.width]
    on_photo = np.array(inner, dtype=np.float32)
    # Interpolation flattens the peak, and a letterboxed photo's may lie in its mirrored border.
    on_photo.flat[int(on_photo.argmax())] = anomaly_map.max()
    return on_photo
