"""Learning the quality gate from clean photos, and keeping what later photos are compared with."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.decision import CLEAN
from models.errors import UsageError
from models.manifest import CalibrationReference
from models.measuring import luma, measure, small
from models.preprocessing import Preprocessing
from models.quality import (
    QualityGate,
    QualityReadings,
    Range,
    ReadingName,
    refusals,
)
from training.data.samples import Sample
from training.limits import HeldOutScores
from training.spread import spread

ALL_GATES = "all"
LARGEST_REFERENCE = 512

log = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Factors:
    """Widening of a positive reading's range, by factors."""

    below: float
    above: float

    def widen(self, values: Values) -> tuple[float, float]:
        low, high = float(values.min()), float(values.max())
        spread = high / low if low > 0 else 1.0
        return low / self.below / np.sqrt(spread), high * self.above * np.sqrt(spread)


@dataclass(frozen=True)
class _Steps:
    """Widening of a reading's range by at least so much, and by the distance from median to end at most
    `reach` times."""

    below: float
    above: float
    reach: float = 1.0

    def widen(self, values: Values) -> tuple[float, float]:
        low, middle, high = (float(value) for value in np.quantile(values, (0.0, 0.5, 1.0)))
        below = max(self.below, self.reach * (middle - low))
        above = max(self.above, self.reach * (high - middle))
        return low - below, high + above


# Wide on purpose: a gate refuses what no line would call a photo of the part; the rest is the model's.
_WIDENING: Mapping[ReadingName, _Factors | _Steps] = {
    "brightness": _Factors(1.6, 1.6),
    "contrast": _Factors(2.0, 2.0),
    "sharpness": _Factors(2.0, 4.0),
    "crushed": _Steps(1.0, 0.15),
    "blown_out": _Steps(1.0, 0.15),
    "likeness": _Steps(0.2, 2.0),
    "width": _Factors(2.0, 2.0),
    "height": _Factors(2.0, 2.0),
    "aspect": _Factors(1.25, 1.25),
    "bit_depth": _Steps(0.0, 0.0, reach=0.0),
}


def check_gate_names(names: Sequence[str]) -> None:
    """Refuse names of gates that do not exist.

    Raises:
        UsageError: naming the first.
    """
    for name in names:
        if name not in (*_WIDENING, ALL_GATES):
            raise UsageError(
                f"--no-gate {name}: there is no such gate.", f"The gates are {', '.join(_WIDENING)}, all."
            )


def read_photos(
    images: Pixels,
    samples: Sequence[Sample],
    preprocessing: Preprocessing,
    gate: QualityGate,
    registration: Sequence[float] | None = None,
) -> list[QualityReadings]:
    """Read photos that are at the model's size already, uint8 [N, H, W, 3], in the order of `samples`.

    `registration` is the correlation that each reaches on the template; None without one.
    """
    return [
        measure(
            image,
            preprocessing.place(sample.height, sample.width),
            bit_depth=sample.bit_depth,
            thumbnail=gate.thumbnail,
            registration=None if registration is None else registration[row],
        )
        for row, (image, sample) in enumerate(zip(images, samples, strict=True))
    ]


def learn_gate(
    images: Pixels, samples: Sequence[Sample], preprocessing: Preprocessing, without: Sequence[str] = ()
) -> QualityGate:
    """Learn limits that all clean photos keep with room to spare; warn where photos of defects do not.

    Args:
        images: uint8 [N, H, W, 3] at the model's size, clean and defective.
        samples: what they show, in the same order.
        without: readings that are to have no limits; `all` for none at all.
    """
    clean = np.array([sample.label == CLEAN for sample in samples])
    good = [sample for sample in samples if sample.label == CLEAN]
    reference = QualityGate(limits={}, thumbnail=_mean_thumbnail(images[clean], good, preprocessing))
    readings = [each.as_dict() for each in read_photos(images[clean], good, preprocessing, reference)]
    limits = {
        name: _range(name, np.array([each[name] for each in readings]))
        for name in _WIDENING
        if name not in without and ALL_GATES not in without
    }
    gate = reference.model_copy(update={"limits": limits})
    _warn_of_refused_defects(images[~clean], [s for s in samples if s.label != CLEAN], preprocessing, gate)
    return gate


def calibration_reference(
    images: Pixels,
    samples: Sequence[Sample],
    preprocessing: Preprocessing,
    gate: QualityGate,
    scores: HeldOutScores,
    registration: Sequence[float] | None = None,
) -> CalibrationReference:
    """Readings and scores of the clean calibration photos, six digits each, at most `LARGEST_REFERENCE`."""
    clean = np.flatnonzero(~scores.defective)
    chosen = clean[spread(len(clean), LARGEST_REFERENCE)]
    reached = None if registration is None else [registration[index] for index in chosen]
    given = [samples[index] for index in chosen]
    photos = read_photos(images[chosen], given, preprocessing, gate, reached)
    columns = [readings.as_dict() for readings in photos]
    probabilities = scores.defect_probability
    return CalibrationReference(
        readings={name: _rounded([column[name] for column in columns]) for name in columns[0]},
        anomaly_scores=_rounded(scores.anomaly[chosen].tolist()),
        defect_probabilities=None if probabilities is None else _rounded(probabilities[chosen].tolist()),
    )


def _mean_thumbnail(
    images: Pixels, samples: Sequence[Sample], preprocessing: Preprocessing
) -> list[list[int]]:
    places = (preprocessing.place(sample.height, sample.width) for sample in samples)
    thumbnails = [small(luma(image, place)) for image, place in zip(images, places, strict=True)]
    rows: list[list[int]] = np.rint(np.mean(thumbnails, axis=0)).astype(int).tolist()
    return rows


def _range(name: ReadingName, values: Values) -> Range:
    low, high = _WIDENING[name].widen(values)
    # Rounded outwards, so that the photo that set the limit keeps it.
    return Range(low=float(np.floor(low * 1e4) / 1e4), high=float(np.ceil(high * 1e4) / 1e4))


def _warn_of_refused_defects(
    images: Pixels, samples: Sequence[Sample], preprocessing: Preprocessing, gate: QualityGate
) -> None:
    judged = [gate.judge(each) for each in read_photos(images, samples, preprocessing, gate)]
    refused = [readings for readings in judged if refusals(readings)]
    if refused:
        names = sorted({reading.name for readings in refused for reading in readings if not reading.ok})
        log.warning(
            "%d of %d photos of defects lie outside the quality gate and would be answered `invalid`. "
            "To let the model judge them: %s.",
            len(refused),
            len(samples),
            " ".join(f"--no-gate {name}" for name in names),
        )


def _rounded(values: Sequence[float]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
