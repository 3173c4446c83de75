"""Figures over inspected photos whose truth is known.

An `invalid` answer is never a pass: on a good part it counts as a false reject, since the line stops the
part; on a defective part it is no escape, but no catch either. It has no score, so no curve counts it.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from models.answer import Inspection
from models.decision import CLEAN, INVALID
from models.manifest import RateInterval
from training.data.samples import Sample, read_mask
from training.metrics import PixelTally, auroc, rate_interval
from training.sign_off import (
    DEFECT_RATE,
    RECALL_AT,
    CostView,
    RecallAt,
    ReliabilityBin,
    SizeFigures,
    by_size,
    cost_view,
    recall_at,
    reliability,
)


@dataclass(frozen=True)
class Record:
    """A sample and what the inspector said of it.

    Attributes:
        sample: the photo and its true label.
        inspection: the answer, the same as the service's.
        photo_map: float16 [h, w], the anomaly map over the photo at about the model's scale; None when
            the answer is `invalid`.
        defect_share: how much of the photo the mask marks, 0..1; None without a mask that marks anything.
    """

    sample: Sample
    inspection: Inspection
    photo_map: npt.NDArray[np.float16] | None
    defect_share: float | None = None

    @property
    def defective(self) -> bool:
        return self.sample.label != CLEAN

    @property
    def invalid(self) -> bool:
        return self.inspection.verdict == INVALID

    @property
    def false_reject(self) -> bool:
        """A good part that was not passed."""
        return not self.defective and self.inspection.verdict != CLEAN

    @property
    def escape(self) -> bool:
        """A defective part that was passed."""
        return self.defective and self.inspection.verdict == CLEAN

    @property
    def caught(self) -> bool:
        """A defective part that was found defective, whatever the defect's name."""
        return self.defective and self.inspection.verdict not in (CLEAN, INVALID)


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True)


class ImageAuroc(_Figures):
    """Area under the ROC curve over photos, 0..1, by each opinion; null where one side has no photos."""

    anomaly: float | None
    classifier: float | None = Field(description="Of 1 - probability of clean; null without defect classes.")
    combined: float | None = Field(description="Of the answer's `score`.")


class ClassFigures(_Figures):
    """What became of one defect class, by its true name."""

    n: int
    caught: int = Field(description="Answered with a defect, whatever its name.")
    escaped: int = Field(description="Answered `clean`.")
    invalid: int
    escape_rate: float
    escape_interval: RateInterval
    named_right: int | None = Field(description="Answered with this very class; null if the bundle lacks it.")


class Metrics(_Figures):
    """The figures of one set of photos; rates are shares 0..1, null where there is nothing to count."""

    n_good: int
    n_defective: int
    n_good_groups: int = Field(
        description="Groups of alike photos that the good ones are of; intervals count each group once."
    )
    n_defective_groups: int
    n_invalid: int = Field(description="Photos without a verdict: false rejects if good, else neither.")
    quality_refusals: dict[str, int] = Field(
        description="Of those without a verdict, how many each reading of the quality gate refused."
    )
    n_review: int = Field(description="Photos that a person should look at.")
    image_auroc: ImageAuroc
    pixel_auroc: float | None = Field(description="Over good photos and defective ones with a mask.")
    aupro: float | None = Field(description="Per-region overlap up to 30 % of good pixels, same photos.")
    aupro_5: float | None = Field(description="The same up to 5 % of good pixels.")
    n_masks: int = Field(description="Defective photos with a mask that marks anything.")
    false_reject_rate: float | None = Field(description="Share of good photos not answered `clean`.")
    false_reject_interval: RateInterval | None
    escape_rate: float | None = Field(description="Share of defective photos answered `clean`.")
    escape_interval: RateInterval | None
    per_class: dict[str, ClassFigures] = Field(description="By defect class.")
    per_size: list[SizeFigures] = Field(description="By the size of the defect, where masks mark it.")
    recall_at: list[RecallAt] = Field(description="Recall of the combined score at given false rejects.")
    reliability: list[ReliabilityBin] = Field(description="Of the classifier's defect probability.")
    cost: CostView = Field(description="What the limits cost on a line.")
    confusion: dict[str, dict[str, int]] = Field(description="True class to verdict to number of photos.")


def summarise(records: Sequence[Record], defect_rate: float = DEFECT_RATE) -> Metrics:
    """The figures of these records; `defect_rate` is the share of a line's parts that are defective.

    Defect classes that the bundle does not know count as defects all the same. The masks are read from
    their files.

    Raises:
        DatasetError: when a mask cannot be read.
    """
    good = [record for record in records if not record.defective]
    defective = [record for record in records if record.defective]
    false_rejects = _share(good, lambda record: record.false_reject)
    escapes = _share(defective, lambda record: record.escape)
    pixels, n_masks = _tally_pixels(good, defective)
    return Metrics(
        n_good=len(good),
        n_defective=len(defective),
        n_good_groups=len({record.sample.unit for record in good}),
        n_defective_groups=len({record.sample.unit for record in defective}),
        n_invalid=sum(record.invalid for record in records),
        quality_refusals=_quality_refusals(records),
        n_review=sum(record.inspection.needs_review for record in records),
        image_auroc=ImageAuroc(
            anomaly=_auroc(records, lambda answer: answer.anomaly.score),
            classifier=_auroc(records, lambda answer: answer.classifier.defect_probability),
            combined=_auroc(records, lambda answer: answer.score),
        ),
        pixel_auroc=pixels.auroc(),
        aupro=pixels.aupro(),
        aupro_5=pixels.aupro(0.05),
        n_masks=n_masks,
        false_reject_rate=None if false_rejects is None else false_rejects.rate,
        false_reject_interval=false_rejects,
        escape_rate=None if escapes is None else escapes.rate,
        escape_interval=escapes,
        per_class=_per_class(defective, known=_known_classes(records)),
        per_size=by_size([(r.defect_share, r.escape, r.sample.unit) for r in defective if r.defect_share]),
        recall_at=_recalls(records),
        reliability=reliability(*_scored(records, lambda answer: answer.classifier.defect_probability)),
        cost=cost_view(false_rejects, escapes, defect_rate),
        confusion=_confusion(records),
    )


def groups_remark(metrics: Metrics) -> str:
    """In plain words that photos are alike, and what intervals make of it; empty where all stand alone."""
    counts = (
        (metrics.n_good_groups, metrics.n_good, "good"),
        (metrics.n_defective_groups, metrics.n_defective, "defective"),
    )
    alike = [f"{photos} {kind} photos as {groups}" for groups, photos, kind in counts if groups < photos]
    if not alike:
        return ""
    return f"Photos of one group tend to be judged alike, so intervals count {' and '.join(alike)}."


def _share(records: Sequence[Record], happened: Callable[[Record], bool]) -> RateInterval | None:
    if not records:
        return None
    groups = len({record.sample.unit for record in records})
    return rate_interval(sum(happened(record) for record in records), len(records), groups)


def _quality_refusals(records: Sequence[Record]) -> dict[str, int]:
    refused = (r.name for record in records for r in record.inspection.quality if not r.ok)
    return dict(Counter(refused).most_common())


def _auroc(records: Sequence[Record], score: Callable[[Inspection], float | None]) -> float | None:
    scores, defective, _ = _scored(records, score)
    return auroc(scores.tolist(), defective.tolist())


def _recalls(records: Sequence[Record]) -> list[RecallAt]:
    scored = _scored(records, lambda answer: answer.score)
    found = (recall_at(*scored, share) for share in RECALL_AT)
    return [each for each in found if each is not None]


def _scored(
    records: Sequence[Record], score: Callable[[Inspection], float | None]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], list[str]]:
    """The scores [N] of the photos that have one, which of them are defective, and their groups."""
    found = [(value, record) for record in records if (value := score(record.inspection)) is not None]
    return (
        np.array([value for value, _ in found], dtype=np.float64),
        np.array([record.defective for _, record in found], dtype=bool),
        [record.sample.unit for _, record in found],
    )


def share_of_defect(sample: Sample) -> float | None:
    """How much of a photo its mask marks, 0..1; None without a mask that marks anything.

    Raises:
        DatasetError: when the mask cannot be read.
    """
    if sample.mask is None:
        return None
    return float(read_mask(sample.mask, sample.height, sample.width).mean()) or None


def _tally_pixels(good: Sequence[Record], defective: Sequence[Record]) -> tuple[PixelTally, int]:
    tally, n_masks = PixelTally(), 0
    for record in defective:
        sample = record.sample
        if sample.mask is None or record.photo_map is None:
            continue
        mask = read_mask(sample.mask, sample.height, sample.width)
        if mask.any():
            tally.add(record.photo_map, mask)
            n_masks += 1
    for record in good if n_masks else ():
        if record.photo_map is not None:
            tally.add(record.photo_map, None)
    return tally, n_masks


def _known_classes(records: Sequence[Record]) -> set[str]:
    return {name for record in records for name in record.inspection.classifier.probabilities}


def _per_class(defective: Sequence[Record], known: set[str]) -> dict[str, ClassFigures]:
    figures = {}
    for label in sorted({record.sample.label for record in defective}):
        own = [record for record in defective if record.sample.label == label]
        interval = rate_interval(
            sum(record.escape for record in own), len(own), len({record.sample.unit for record in own})
        )
        figures[label] = ClassFigures(
            n=len(own),
            caught=sum(record.caught for record in own),
            escaped=sum(record.escape for record in own),
            invalid=sum(record.invalid for record in own),
            escape_rate=interval.rate,
            escape_interval=interval,
            named_right=sum(r.inspection.verdict == label for r in own) if label in known else None,
        )
    return figures


def _confusion(records: Sequence[Record]) -> dict[str, dict[str, int]]:
    """Rows in the order clean, then defect classes by name."""
    labels = sorted({record.sample.label for record in records}, key=lambda label: (label != CLEAN, label))
    return {
        label: dict(Counter(r.inspection.verdict for r in records if r.sample.label == label))
        for label in labels
    }
