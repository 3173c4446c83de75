"""Which photos of a training cannot be laid on the template and are left out, and when that ends it."""

import cv2
import numpy as np
import pytest

from models.errors import DatasetError
from models.quality import QualityGate, Range
from tests.training.rendered import SIDE, as_they_lie, parts
from training.registering import register_photos
from training.template import LearntTemplate, learn_template

GATE = QualityGate(limits={"brightness": Range(low=0.1, high=0.9)})


@pytest.fixture(scope="module")
def learnt() -> LearntTemplate:
    return learn_template(parts(24, turned=True))


def others(count: int) -> np.ndarray:
    """Photos of another part."""
    photo = np.full((SIDE, SIDE, 3), 110, np.uint8)
    cv2.circle(photo, (SIDE // 2, SIDE // 2), SIDE // 5, (150, 150, 150), -1)
    return np.stack([np.roll(photo, 3 * number, axis=0) for number in range(count)])


def test_strays_are_left_out_but_in_the_test(learnt: LearntTemplate) -> None:
    photos = as_they_lie(turned=True, strays={name: ("clean", others(1)) for name in ("train", "test")})
    laid, gate = register_photos(photos, learnt, GATE, progress=False)
    assert [skipped.name for skipped in laid.left_out] == ["train24"]
    assert "cannot be laid on the template" in laid.left_out[0].reason
    assert [len(part) for part in laid.split.parts().values()] == [24, 16, 1]
    assert [len(laid.images[name]) for name in ("train", "calibration", "test")] == [24, 16, 1]
    assert laid.correlations is not None
    assert laid.correlations["test"][0] < learnt.lowest <= min(laid.correlations["train"])
    assert gate.limits["brightness"] == GATE.limits["brightness"]
    assert gate.limits["registration"] == Range(low=learnt.lowest, high=1.0)
    # The gate reads photos as they lie.
    assert np.array_equal(laid.as_they_lie["train"], photos.images["train"][:24])
    assert not np.array_equal(laid.images["train"], laid.as_they_lie["train"])


def test_a_few_clean_calibration_photos_that_do_not_register_end_the_training(learnt: LearntTemplate) -> None:
    photos = as_they_lie(turned=True, strays={"calibration": ("clean", others(2))})
    with pytest.raises(DatasetError, match=r"2 of 18 clean calibration photos .*calibration16") as refused:
        register_photos(photos, learnt, GATE, progress=False)
    assert "--alignment register" in refused.value.problem
    assert "--alignment free" in refused.value.remedy


def test_a_defect_of_which_no_photo_registers_cannot_be_learnt(learnt: LearntTemplate) -> None:
    photos = as_they_lie(turned=True, strays={"train": ("halved", others(2))})
    with pytest.raises(DatasetError, match="no training photo of halved"):
        register_photos(photos, learnt, GATE, progress=False)
