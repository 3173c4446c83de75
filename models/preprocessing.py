"""Where a photo goes in the model's input. The pixels follow in `models/resizing.py`."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

DEFAULT_AREA = 224 * 224
SIZE_MULTIPLE = 16

# A rotation and a shift, row by row: x' = a x + b y + c, y' = d x + e y + f, in pixels.
Affine = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Placement:
    """Where a photo of `photo_height` x `photo_width` lies inside the model's input, in input pixels.

    `pose` is a rotation and a shift, row by row, for a photo that was then laid on a template: it takes a
    point (x, y) of the model's input to where that was before, in the same pixels; None if it was not.
    """

    photo_height: int
    photo_width: int
    top: int
    left: int
    height: int
    width: int
    letterboxed: bool
    pose: Affine | None = None


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

    @property
    def size(self) -> tuple[int, int]:
        """The model's input (height, width), in pixels."""
        return self.height, self.width

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

    def apply(self, pixels: "npt.NDArray[np.uint8]") -> "npt.NDArray[np.uint8]":
        """Resize RGB pixels uint8 [H, W, 3] to uint8 [height, width, 3]; see `models.resizing.resize`."""
        # OpenCV and NumPy, which the service need not wait for before it answers.
        from models.resizing import fill

        return fill(pixels, self.place(*pixels.shape[:2]), self.height, self.width)


def default_size(photo_sizes: Iterable[tuple[int, int]], area: int = DEFAULT_AREA) -> tuple[int, int]:
    """Choose the input size for photos of the given (height, width): the commonest shape, near `area` pixels.

    Aspect ratios count as one within about 10 %. Returns (height, width), multiples of 16.

    Raises:
        ValueError: without any photo.
    """
    ratios = [width / height for height, width in photo_sizes]
    if not ratios:
        raise ValueError("the input size is chosen from the photos' sizes, and there are none")
    bins = Counter(round(math.log(ratio) / 0.1) for ratio in ratios)
    commonest = max(bins.items(), key=lambda item: (item[1], -abs(item[0])))[0]
    ratio = median(r for r in ratios if round(math.log(r) / 0.1) == commonest)
    # The multiples of 16 nearest in both shape and area; shape counts more, for stretching costs accuracy.
    sizes = range(SIZE_MULTIPLE * 2, 1024, SIZE_MULTIPLE)
    return min(
        ((h, w) for h in sizes for w in sizes),
        key=lambda hw: 2 * abs(math.log(hw[1] / hw[0] / ratio)) + abs(math.log(hw[0] * hw[1] / area)),
    )
