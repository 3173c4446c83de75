"""The one way from a photo to the model's input, and back from the map to the photo."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

DEFAULT_AREA = 224 * 224
SIZE_MULTIPLE = 16


@dataclass(frozen=True)
class Placement:
    """Where a photo of `photo_height` x `photo_width` lies inside the model's input, in input pixels."""

    photo_height: int
    photo_width: int
    top: int
    left: int
    height: int
    width: int
    letterboxed: bool


class Preprocessing(BaseModel):
    """Resizes photos to the model's size; kept in the manifest, so that all users see equal pixels.

    A photo whose shape differs from the model's by a factor of at most `max_stretch` is stretched to
    fit; any other is letterboxed: resized by one factor, centred, and its borders mirrored outwards.

    Attributes:
        height, width: the model's input size in pixels.
        white_level: the 16-bit value that means white.
        max_stretch: largest factor between the photo's and the model's aspect ratio that is stretched away.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: int = Field(ge=SIZE_MULTIPLE, multiple_of=SIZE_MULTIPLE)
    width: int = Field(ge=SIZE_MULTIPLE, multiple_of=SIZE_MULTIPLE)
    white_level: int = Field(default=65535, ge=255, le=65535)
    max_stretch: float = Field(default=1.2, ge=1.0)

    def place(self, photo_height: int, photo_width: int) -> Placement:
        """Say where a photo of this size goes in the input."""
        scale_y, scale_x = self.height / photo_height, self.width / photo_width
        if max(scale_y, scale_x) <= self.max_stretch * min(scale_y, scale_x):
            return Placement(photo_height, photo_width, 0, 0, self.height, self.width, letterboxed=False)
        scale = min(scale_y, scale_x)
        height = min(self.height, max(1, round(photo_height * scale)))
        width = min(self.width, max(1, round(photo_width * scale)))
        top, left = (self.height - height) // 2, (self.width - width) // 2
        return Placement(photo_height, photo_width, top, left, height, width, letterboxed=True)

    def apply(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Resize RGB pixels uint8 [H, W, 3] to uint8 [height, width, 3]; see `resize`."""
        place = self.place(*pixels.shape[:2])
        inner = resize(pixels, place.height, place.width)
        if place.letterboxed:
            bottom = self.height - place.top - place.height
            right = self.width - place.left - place.width
            return np.asarray(
                cv2.copyMakeBorder(inner, place.top, bottom, place.left, right, cv2.BORDER_REFLECT_101),
                dtype=np.uint8,
            )
        return inner


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


def default_size(photo_sizes: Iterable[tuple[int, int]], area: int = DEFAULT_AREA) -> tuple[int, int]:
    """Choose the input size for photos of the given (height, width): the commonest shape, near `area` pixels.

    Aspect ratios count as one within about 10 %. Returns (height, width), multiples of 16.

    Raises:
        ValueError: without any photo.
    """
    ratios = [width / height for height, width in photo_sizes]
    if not ratios:
        raise ValueError("the input size is chosen from the photos' sizes, and there are none")
    bins = Counter(round(float(np.log(ratio)) / 0.1) for ratio in ratios)
    commonest = max(bins.items(), key=lambda item: (item[1], -abs(item[0])))[0]
    ratio = float(np.median([r for r in ratios if round(float(np.log(r)) / 0.1) == commonest]))
    # The multiples of 16 nearest in both shape and area; shape counts more, for stretching costs accuracy.
    sizes = range(SIZE_MULTIPLE * 2, 1024, SIZE_MULTIPLE)
    return min(
        ((h, w) for h in sizes for w in sizes),
        key=lambda hw: 2 * abs(np.log(hw[1] / hw[0] / ratio)) + abs(np.log(hw[0] * hw[1] / area)),
    )
