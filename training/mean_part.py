"""The mean of the clean training photos: what a good part looks like, to compare photos with."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.errors import DatasetError
from models.mean_part import MEAN_PART
from models.overlay import encode_picture


def mean_of(photos: Iterable[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """The mean of photos, each uint8 [H, W, 3], in one pass and with one sum in memory; uint8 [H, W, 3].

    Raises:
        DatasetError: without any photo.
    """
    total: npt.NDArray[np.uint64] | None = None
    count = 0
    for photo in photos:
        if total is None:
            total = np.zeros(photo.shape, np.uint64)
        total += photo
        count += 1
    if total is None:
        raise DatasetError("There is no clean training photo to take the mean of.", "Add photos to good/.")
    return np.rint(total / count).astype(np.uint8)


def write_mean(folder: Path, photos: Iterable[npt.NDArray[np.uint8]]) -> None:
    """Write the mean of the clean training photos, RGB at the model's size, into a bundle's folder."""
    (folder / MEAN_PART).write_bytes(encode_picture(mean_of(photos), "png"))
