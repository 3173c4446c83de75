"""The quality gate: what is read off a photo, and which photos are refused."""

import time

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from models.measuring import measure
from models.preprocessing import Preprocessing
from models.quality import READING_NAMES, QualityGate, QualityReadings, Range, refusals
from tests.tiny_bundle import Pixels

SIZE = Preprocessing(height=128, width=128)
PLAIN = np.linspace(0, 255, 16 * 16).reshape(16, 16).astype(int).tolist()


def read(pixels: Pixels, thumbnail: list[list[int]] = PLAIN) -> QualityReadings:
    place = SIZE.place(*pixels.shape[:2])
    return measure(SIZE.apply(pixels), place, bit_depth=8, thumbnail=thumbnail)


def part(height: int = 256, width: int = 256) -> Pixels:
    """A bright ring with a fine texture on a dark ground."""
    pixels = np.full((height, width, 3), 40, np.uint8)
    cv2.circle(pixels, (width // 2, height // 2), height // 3, (190, 190, 190), height // 8)
    noise = np.random.default_rng(0).integers(-6, 7, (height, width, 1))
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def thumbnail_of(pixels: Pixels) -> list[list[int]]:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (16, 16), interpolation=cv2.INTER_AREA).astype(int).tolist()


def test_brightness_and_contrast_are_those_of_the_luma() -> None:
    half = np.zeros((64, 64, 3), np.uint8)
    half[:, 32:] = 255
    readings = read(half)
    assert readings.brightness == pytest.approx(0.5, abs=0.01)
    assert readings.contrast == pytest.approx(0.5, abs=0.01)
    assert (readings.crushed, readings.blown_out) == (pytest.approx(0.5, abs=0.02),) * 2
    green = np.full((64, 64, 3), (0, 255, 0), np.uint8)
    assert read(green).brightness == pytest.approx(0.587, abs=0.01)


def test_a_blurred_photo_is_less_sharp_and_a_noisy_one_hardly_sharper() -> None:
    sharp = part()
    noise = np.random.default_rng(1).normal(0, 4, sharp.shape)
    noisy = np.clip(sharp + noise, 0, 255).astype(np.uint8)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 6)
    noise_on_blur = np.clip(blurred + noise, 0, 255).astype(np.uint8)
    assert read(blurred).sharpness < 0.35 * read(sharp).sharpness
    assert read(noise_on_blur).sharpness < 0.6 * read(sharp).sharpness
    assert read(noisy).sharpness < 1.3 * read(sharp).sharpness


def test_likeness_is_high_for_the_part_low_for_an_empty_fixture_and_nought_for_a_flat_photo() -> None:
    mean = thumbnail_of(part())
    empty = np.full((256, 256, 3), 40, np.uint8)
    speckled = np.clip(empty + np.random.default_rng(2).normal(0, 5, empty.shape), 0, 255).astype(np.uint8)
    assert read(part(), mean).likeness > 0.98
    assert read(np.clip(part() * 1.2, 0, 255).astype(np.uint8), mean).likeness > 0.98
    assert abs(read(speckled, mean).likeness) < 0.4
    assert read(empty, mean).likeness == 0.0
    assert read(255 - part(), mean).likeness < -0.9


def test_the_mirrored_borders_of_a_letterboxed_photo_are_left_out() -> None:
    tall = part(512, 128)
    tall[:8] = 255  # mirrored outwards, a bright edge would count twice
    place = SIZE.place(512, 128)
    assert place.letterboxed
    inner = cv2.resize(tall, (place.width, place.height), interpolation=cv2.INTER_AREA)
    expected = float(cv2.cvtColor(inner, cv2.COLOR_RGB2GRAY).mean()) / 255
    assert read(tall).brightness == pytest.approx(expected, abs=1e-6)


def test_the_photos_own_facts_are_readings_too() -> None:
    readings = measure(SIZE.apply(part(100, 200)), SIZE.place(100, 200), bit_depth=16)
    assert (readings.width, readings.height, readings.aspect, readings.bit_depth) == (200, 100, 2.0, 16)
    assert readings.likeness is None
    assert list(readings.as_dict()) == [n for n in READING_NAMES if n not in ("likeness", "registration")]


def test_a_gate_takes_both_ends_of_a_range_and_nothing_beyond() -> None:
    gate = QualityGate(limits={"width": Range(low=100, high=200)})
    for width, ok in ((99, False), (100, True), (200, True), (201, False)):
        (reading,) = [r for r in gate.judge(read(part(128, width))) if r.name == "width"]
        assert (reading.value, reading.low, reading.high, reading.ok) == (width, 100, 200, ok)


def test_a_refusal_names_the_reading_its_value_and_its_limits() -> None:
    gate = QualityGate(limits={"brightness": Range(low=0.5, high=0.6)})
    readings = gate.judge(read(np.zeros((64, 64, 3), np.uint8)))
    assert refusals(readings) == ["brightness 0 is outside 0.5 to 0.6"]


def test_readings_without_limits_pass_unless_they_are_no_number() -> None:
    readings = read(part())
    assert all(reading.ok and reading.low is None for reading in QualityGate(limits={}).judge(readings))
    broken = QualityReadings(**{**vars(readings), "sharpness": float("nan")})
    for gate in (QualityGate(limits={}), QualityGate(limits={"sharpness": Range(low=0, high=1)})):
        assert refusals(gate.judge(broken))


@pytest.mark.parametrize(
    "record",
    [
        {"limits": {"brightness": {"low": 2, "high": 1}}},
        {"limits": {"colour": {"low": 0, "high": 1}}},
        {"limits": {}, "thumbnail": [[1, 2], [3, 4]]},
    ],
)
def test_a_gate_that_makes_no_sense_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        QualityGate.model_validate(record)


def test_reading_a_photo_costs_little_beside_the_model() -> None:
    tensor, place = SIZE.apply(part()), SIZE.place(256, 256)
    took = []
    for _ in range(20):
        begun = time.perf_counter()
        measure(tensor, place, bit_depth=8, thumbnail=PLAIN)
        took.append(time.perf_counter() - begun)
    assert min(took) < 1e-3
