"""The quality gate: whether a photo is one that the model can judge at all, by readings of the photo itself.

A model answers on any pixels. A lens cap, a dead lamp or an empty fixture must not get a verdict, so each
reading has limits, learnt in training from the clean photos and kept in the manifest.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.preprocessing import Placement

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
]
READING_NAMES: tuple[ReadingName, ...] = get_args(ReadingName)

THUMBNAIL = 16
_CRUSHED = 4
_BLOWN_OUT = 251
_FLAT = 1.0  # Standard deviation in grey levels below which a thumbnail has nothing to be compared by.


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


def measure(
    tensor: npt.NDArray[np.uint8],
    place: Placement,
    *,
    bit_depth: int,
    thumbnail: Sequence[Sequence[int]] = (),
) -> QualityReadings:
    """Read a photo.

    Args:
        tensor: uint8 [H, W, 3], RGB, what the model sees.
        place: where the photo lies in it; its mirrored borders are left out.
        bit_depth: bits per channel of the file.
        thumbnail: of the mean clean photo; empty leaves `likeness` out.
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
    )


def luma(tensor: npt.NDArray[np.uint8], place: Placement) -> npt.NDArray[np.uint8]:
    """The photo's own part of a tensor uint8 [H, W, 3] as luma uint8 [place.height, place.width]."""
    inner = tensor[place.top : place.top + place.height, place.left : place.left + place.width]
    return np.asarray(cv2.cvtColor(inner, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def small(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Average luma down to float32 [THUMBNAIL, THUMBNAIL]: where the part is, and nothing of its surface."""
    size = (THUMBNAIL, THUMBNAIL)
    return np.asarray(cv2.resize(grey.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)


def refusals(readings: Sequence[Reading]) -> list[str]:
    """What speaks against a photo, one line for each reading outside its limits."""
    return [str(reading) for reading in readings if not reading.ok]


def _correlation(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    if min(float(one.std()), float(other.std())) < _FLAT:
        return 0.0
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def _judge(name: ReadingName, value: float, limits: Range | None) -> Reading:
    if limits is None:
        return Reading(name=name, value=value, low=None, high=None, ok=math.isfinite(value))
    return Reading(
        name=name, value=value, low=limits.low, high=limits.high, ok=limits.low <= value <= limits.high
    )
