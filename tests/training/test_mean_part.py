"""The mean of the clean training photos."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import DatasetError
from models.mean_part import MEAN_PART
from training.mean_part import mean_of, write_mean


def test_it_is_the_mean_rounded_of_however_many_photos() -> None:
    photos = np.random.default_rng(0).integers(0, 256, (500, 4, 6, 3)).astype(np.uint8)
    assert np.array_equal(mean_of(iter(photos)), np.rint(photos.mean(axis=0)).astype(np.uint8))
    white = np.full((2, 2, 3), 255, np.uint8)
    assert np.array_equal(mean_of([white] * 300), white)


def test_it_is_kept_without_loss_and_in_its_colours(tmp_path: Path) -> None:
    photo = np.zeros((16, 32, 3), np.uint8)
    photo[..., 0] = 200
    write_mean(tmp_path, [photo])
    read = cv2.imread(str(tmp_path / MEAN_PART), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(read[..., ::-1], photo)


def test_without_photos_there_is_none() -> None:
    with pytest.raises(DatasetError, match="clean training photo"):
        mean_of([])
