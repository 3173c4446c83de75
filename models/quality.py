"""The quality gate: whether a photo is one that the model can judge at all, by readings of the photo itself.

A model answers on any pixels. A lens cap, a dead lamp or an empty fixture must not get a verdict, so each
reading has limits, learnt in training from the clean photos and kept in the manifest. `models/measuring.py`
takes the readings.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

ReadingName = Literal[
    "brightness",
    "contrast",
    "sharpness",
    "crushed",
    "blown_out",
    "likeness",
    "width",
    "height",
    "aspect",
    "bit_depth",
    "registration",
]
READING_NAMES: tuple[ReadingName, ...] = get_args(ReadingName)

THUMBNAIL = 16


@dataclass(frozen=True)
class QualityReadings:
    """What is read off one photo.

    Attributes:
        brightness: mean luma, 0..1 (Rec. 601, not linearised).
        contrast: standard deviation of luma, 0..0.5.
        sharpness: root mean square of the Laplacian of luma at the model's size, after a 3 x 3 mean that
            takes off most of a sensor's noise; 0..8.
        crushed, blown_out: shares of pixels at the dark and at the bright end, 0..1.
        likeness: correlation with the mean clean photo over a small thumbnail, -1..1, 0 for a photo without
            contrast; None where there is no mean photo to compare with.
        width, height: of the photo as uploaded, upright, in pixels.
        aspect: width / height.
        bit_depth: bits per channel as encoded.
        registration: correlation with the template that the photo was laid on, -1..1, 0 if it could not be;
            None where photos are not laid on one.
    """

    brightness: float
    contrast: float
    sharpness: float
    crushed: float
    blown_out: float
    likeness: float | None
    width: float
    height: float
    aspect: float
    bit_depth: float
    registration: float | None = None

    def as_dict(self) -> dict[ReadingName, float]:
        """The readings that were taken, by name."""
        values = ((name, getattr(self, name)) for name in READING_NAMES)
        return {name: value for name, value in values if value is not None}


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Range(_Record):
    """The values of a reading that pass, both ends included."""

    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)

    @model_validator(mode="after")
    def _rising(self) -> "Range":
        if self.low > self.high:
            raise ValueError("low must not lie above high")
        return self


class Reading(_Record):
    """One reading of a photo, and the limits that it has to keep."""

    name: ReadingName
    value: float
    low: float | None = Field(description="Smallest value that passes; null where the reading has no limits.")
    high: float | None = Field(description="Largest value that passes; null where the reading has no limits.")
    ok: bool

    def __str__(self) -> str:
        limits = "no number" if self.low is None else f"outside {self.low:.4g} to {self.high:.4g}"
        return f"{self.name} {self.value:.4g} is {limits}"


class QualityGate(_Record):
    """The limits of the readings, and the mean clean photo.

    Attributes:
        limits: by reading; one that is not listed does not gate.
        thumbnail: luma 0..255 of the mean clean photo, `THUMBNAIL` rows of as many values; empty for none.
    """

    limits: dict[ReadingName, Range]
    thumbnail: list[list[int]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _square(self) -> "QualityGate":
        if self.thumbnail and {len(self.thumbnail), *map(len, self.thumbnail)} != {THUMBNAIL}:
            raise ValueError(f"the thumbnail must have {THUMBNAIL} rows of {THUMBNAIL} values")
        return self

    def judge(self, readings: QualityReadings) -> list[Reading]:
        """Set each reading against its limits. What is not a finite number does not pass."""
        return [_judge(name, value, self.limits.get(name)) for name, value in readings.as_dict().items()]


def refusals(readings: Sequence[Reading]) -> list[str]:
    """What speaks against a photo, one line for each reading outside its limits."""
    return [str(reading) for reading in readings if not reading.ok]


def _judge(name: ReadingName, value: float, limits: Range | None) -> Reading:
    if limits is None:
        return Reading(name=name, value=value, low=None, high=None, ok=math.isfinite(value))
    return Reading(
        name=name, value=value, low=limits.low, high=limits.high, ok=limits.low <= value <= limits.high
    )
