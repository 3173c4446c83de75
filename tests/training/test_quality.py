"""Learning the quality gate: wide round the clean photos, and what is kept of them."""

import logging
from pathlib import Path

import numpy as np
import pytest

from models.errors import UsageError
from models.measuring import measure
from models.preprocessing import Preprocessing
from models.quality import READING_NAMES, QualityGate
from tests.models.test_quality import part
from tests.tiny_bundle import Pixels
from training.data.samples import Sample
from training.limits import held_out_scores
from training.quality import LARGEST_REFERENCE, calibration_reference, check_gate_names, learn_gate

SIZE = Preprocessing(height=128, width=128)


def lit(factor: float) -> Pixels:
    return np.clip(part() * factor, 0, 255).astype(np.uint8)


def sample(number: int, label: str = "clean") -> Sample:
    return Sample(Path(f"{number}.png"), f"{number}.png", label, f"{number:064d}", 256, 256)


CLEAN = [lit(factor) for factor in np.linspace(0.9, 1.1, 25)]
SAMPLES = [sample(number) for number in range(25)]


def learn(photos: list[Pixels] = CLEAN, samples: list[Sample] = SAMPLES, **more: object) -> QualityGate:
    return learn_gate(np.stack([SIZE.apply(photo) for photo in photos]), samples, SIZE, **more)


def refused(gate: QualityGate, photo: Pixels, bit_depth: int = 8) -> list[str]:
    readings = measure(
        SIZE.apply(photo), SIZE.place(*photo.shape[:2]), bit_depth=bit_depth, thumbnail=gate.thumbnail
    )
    return [reading.name for reading in gate.judge(readings) if not reading.ok]


def test_every_clean_photo_passes_by_construction_and_so_does_other_light() -> None:
    gate = learn()
    assert set(gate.limits) == set(READING_NAMES) - {"registration"}
    for photo in (*CLEAN, lit(0.75), lit(1.3)):
        assert refused(gate, photo) == []


@pytest.mark.parametrize(
    ("photo", "reading"),
    [
        (lit(0.3), "brightness"),
        (lit(2.5), "blown_out"),
        (np.zeros((256, 256, 3), np.uint8), "crushed"),
        (np.full((256, 256, 3), 40, np.uint8), "likeness"),
        (np.full((256, 256, 3), 100, np.uint8), "contrast"),
        (part(64, 64), "width"),
        (part(256, 512), "aspect"),
    ],
    ids=["lamp out", "lamp too bright", "lens cap", "empty fixture", "fog", "other size", "other shape"],
)
def test_what_no_line_would_call_a_photo_of_the_part_is_refused(photo: Pixels, reading: str) -> None:
    assert reading in refused(learn(), photo)


def test_another_bit_depth_is_refused() -> None:
    assert refused(learn(), CLEAN[0], bit_depth=16) == ["bit_depth"]


def test_single_readings_and_all_of_them_can_be_left_alone() -> None:
    assert "likeness" not in learn(without=["likeness"]).limits
    assert "brightness" in learn(without=["likeness"]).limits
    off = learn(without=["all"])
    assert off.limits == {}
    assert refused(off, np.zeros((256, 256, 3), np.uint8)) == []
    assert len(off.thumbnail) == 16


def test_a_gate_that_does_not_exist_is_named() -> None:
    check_gate_names(["brightness", "all"])
    with pytest.raises(UsageError, match="colour") as error:
        check_gate_names(["colour"])
    assert "sharpness" in error.value.remedy


def test_defects_teach_the_gate_nothing_and_those_outside_are_said(caplog: pytest.LogCaptureFixture) -> None:
    dark = [*CLEAN, lit(0.2)]
    with caplog.at_level(logging.WARNING, logger="training"):
        gate = learn(dark, [*SAMPLES, sample(25, "burnt")])
    assert gate == learn()
    (record,) = caplog.records
    assert "1 of 1 photos of defects" in record.getMessage()
    assert "--no-gate brightness" in record.getMessage()


def test_the_reference_keeps_the_clean_photos_with_their_scores() -> None:
    gate = learn()
    images = np.stack([SIZE.apply(photo) for photo in CLEAN[:4]])
    samples = [sample(0), sample(1, "bent"), sample(2), sample(3)]
    scores = held_out_scores([1.0, 9.0, 2.123456789, 3.0], [0.1, 0.9, 0.2, 0.3], [False, True, False, False])
    reference = calibration_reference(images, samples, SIZE, gate, scores)
    assert reference.anomaly_scores == [1.0, 2.12346, 3.0]
    assert reference.defect_probabilities == [0.1, 0.2, 0.3]
    assert set(reference.readings) == set(READING_NAMES) - {"registration"}
    assert reference.readings["brightness"][1] == pytest.approx(images[2].mean() / 255, abs=1e-2)
    for column in zip(*reference.readings.values(), strict=True):
        assert len(column) == len(READING_NAMES) - 1


def test_the_reference_is_thinned_evenly_when_there_are_many() -> None:
    count = 2 * LARGEST_REFERENCE + 1
    images = np.repeat(SIZE.apply(CLEAN[0])[None, :32, :32], count, axis=0)
    small = Preprocessing(height=32, width=32)
    scores = held_out_scores([float(n) for n in range(count)], None, [False] * count)
    reference = calibration_reference(
        images,
        [sample(n) for n in range(count)],
        small,
        QualityGate(limits={}, thumbnail=[[9] * 16] * 16),
        scores,
    )
    assert len(reference.anomaly_scores) == LARGEST_REFERENCE
    assert (reference.anomaly_scores[0], reference.anomaly_scores[-1]) == (0.0, count - 1.0)
    assert reference.defect_probabilities is None
