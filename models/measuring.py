"""Takes the readings of the quality gate off a photo."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from models.preprocessing import Placement
from models.quality import THUMBNAIL, QualityReadings

_CRUSHED = 4
_BLOWN_OUT = 251
_FLAT = 1.0  # Standard deviation in grey levels below which a thumbnail has nothing to be compared by.


def measure(
    tensor: npt.NDArray[np.uint8],
    place: Placement,
    *,
    bit_depth: int,
    thumbnail: Sequence[Sequence[int]] = (),
    registration: float | None = None,
) -> QualityReadings:
    """Read a photo.

    Args:
        tensor: uint8 [H, W, 3], RGB, at the model's size, before it is laid on a template.
        place: where the photo lies in it; its mirrored borders are left out.
        bit_depth: bits per channel of the file.
        thumbnail: of the mean clean photo; empty leaves `likeness` out.
        registration: the correlation with the template that was reached.
    """
    grey = luma(tensor, place)
    mean, deviation = cv2.meanStdDev(grey)
    # Counted in floats: the edges of a smoothed photo are fractions of a grey level.
    smooth = cv2.blur(grey.astype(np.float32), (3, 3), borderType=cv2.BORDER_REFLECT_101)
    edges = cv2.Laplacian(smooth, cv2.CV_32F, borderType=cv2.BORDER_REFLECT_101)
    return QualityReadings(
        brightness=float(mean[0, 0]) / 255,
        contrast=float(deviation[0, 0]) / 255,
        sharpness=float(cv2.norm(edges, cv2.NORM_L2)) / math.sqrt(edges.size) / 255,
        crushed=float(np.count_nonzero(grey < _CRUSHED)) / grey.size,
        blown_out=float(np.count_nonzero(grey > _BLOWN_OUT)) / grey.size,
        likeness=_correlation(small(grey), np.asarray(thumbnail, np.float32)) if thumbnail else None,
        width=float(place.photo_width),
        height=float(place.photo_height),
        aspect=place.photo_width / place.photo_height,
        bit_depth=float(bit_depth),
        registration=registration,
    )


def luma(tensor: npt.NDArray[np.uint8], place: Placement) -> npt.NDArray[np.uint8]:
    """The photo's own part of a tensor uint8 [H, W, 3] as luma uint8 [place.height, place.width]."""
    inner = tensor[place.top : place.top + place.height, place.left : place.left + place.width]
    return np.asarray(cv2.cvtColor(inner, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def small(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Average luma down to float32 [THUMBNAIL, THUMBNAIL]: where the part is, and nothing of its surface."""
    size = (THUMBNAIL, THUMBNAIL)
    return np.asarray(cv2.resize(grey.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)


def _correlation(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    if min(float(one.std()), float(other.std())) < _FLAT:
        return 0.0
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
