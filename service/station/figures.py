"""The figures of a bundle's report, as the models page sets them side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from models.decision import Limits
from models.manifest import Manifest, RateInterval


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ImageAuroc(_Figures):
    """Area under the ROC curve over photos, by each opinion; None where it was not measured."""

    anomaly: float | None = None
    classifier: float | None = None
    combined: float | None = None


class Measured(_Figures):
    """What training found on the test photos; None or 0 where there was nothing to measure."""

    n_good: int = 0
    n_defective: int = 0
    n_good_groups: int = 0
    n_defective_groups: int = 0
    image_auroc: ImageAuroc = ImageAuroc()
    pixel_auroc: float | None = None
    aupro: float | None = None
    false_reject_interval: RateInterval | None = None
    escape_interval: RateInterval | None = None


@dataclass(frozen=True)
class ReportFigures:
    """What of a bundle's report can be compared with another's.

    Attributes:
        found: on its own test photos.
        photos: photos that it was trained and calibrated on, by split.
        dataset: fingerprint of the photos; figures of different photos are not strictly comparable.
        trunk: whose weights it looks with.
    """

    created: datetime
    found: Measured
    limits: Limits
    classes: Sequence[str]
    photos: dict[str, int]
    dataset: str
    trunk: str


def figures_of(manifest: Manifest) -> ReportFigures:
    """The figures in a manifest; those of an older Glint may be missing."""
    try:
        found = Measured.model_validate(manifest.metrics)
    except ValidationError:
        found = Measured()
    return ReportFigures(
        created=manifest.created,
        found=found,
        limits=manifest.limits,
        classes=manifest.classes[1:],
        photos={split: sum(counts.values()) for split, counts in manifest.dataset.photos.items()},
        dataset=manifest.dataset.sha256,
        trunk=manifest.trunk.name,
    )
