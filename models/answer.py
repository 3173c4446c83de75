"""What is said of one photo: the fields shared by `POST /inspect` and `glint inspect --json`."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.decision import Decision, Limits
from models.preprocessing import Affine
from models.quality import Reading


class Box(BaseModel):
    """A rectangle in pixels of the uploaded, upright photo; `x`, `y` is the top left corner."""

    model_config = ConfigDict(frozen=True)

    x: int
    y: int
    width: int
    height: int


class Region(BaseModel):
    """One connected region at or above the limit.

    Attributes:
        box: its bounding box.
        area: its area in square pixels of the photo.
        peak: the largest anomaly-map value inside it.
    """

    model_config = ConfigDict(frozen=True)

    box: Box
    area: int
    peak: float


class ClassifierOpinion(BaseModel):
    """The supervised opinion. `limit` is None, and the rule never fires, without defect classes."""

    model_config = ConfigDict(frozen=True)

    probabilities: dict[str, float] = Field(description="Probability of each class, 0..1, summing to 1.")
    defect_probability: float | None = Field(
        description="1 - probability of clean; what the limit applies to."
    )
    limit: float | None = Field(description="At or above it the classifier's rule fires.")


class AnomalyOpinion(BaseModel):
    """The unsupervised opinion: how far the strangest place is from the good parts seen in training."""

    model_config = ConfigDict(frozen=True)

    score: float | None = Field(
        description="Largest smoothed Mahalanobis distance on the map; >= 0, unbounded."
    )
    limit: float = Field(description="At or above it the anomaly rule fires.")


class PartPose(BaseModel):
    """How a part was turned and moved against its bundle's template."""

    model_config = ConfigDict(frozen=True)

    matrix: Affine = Field(
        description="A rotation and a shift, row by row, that take a point (x, y) of the template to the "
        "photo, both in pixels of the model's input."
    )
    height: int = Field(description="Of the model's input, in pixels.")
    width: int


class ImageFacts(BaseModel):
    """The uploaded photo, upright."""

    model_config = ConfigDict(frozen=True)

    width: int
    height: int
    sha256: str
    media_type: str
    bit_depth: int
    letterboxed: bool = Field(description="Its shape differs from the model's, so borders were added.")
    pose: PartPose | None = Field(
        default=None, description="How the part lies against the bundle's template. Null without one."
    )


class Inspection(BaseModel):
    """The answer for one photo, without the overlay picture."""

    model_config = ConfigDict(frozen=True)

    id: str
    verdict: str = Field(description="`clean`, a defect class, `anomalous`, or `invalid`.")
    score: float | None = Field(
        description="0..1; >= 0.5 exactly when the verdict is a defect; null if invalid."
    )
    needs_review: bool
    review_reasons: list[str]
    rules: list[Literal["classifier", "anomaly"]] = Field(description="The rules that fired.")
    classifier: ClassifierOpinion
    anomaly: AnomalyOpinion
    regions: list[Region]
    quality: list[Reading] = Field(
        default=[], description="What was read off the photo, with the limits of the bundle's quality gate."
    )
    part: str
    serial: str | None = None
    camera: str | None = None
    bundle_version: str
    provider: str = Field(description="The execution provider that really ran.")
    provider_fallback: str = Field(default="", description="Why no GPU was used, if one was looked for.")
    precision: str = Field(default="fp32", description="Of the graph that ran: fp32, fp16 or int8.")
    image: ImageFacts
    timings_ms: dict[str, float] = Field(description="Milliseconds spent per stage.")


def inspection_of(
    decision: Decision,
    limits: Limits,
    probabilities: Mapping[str, float],
    anomaly_score: float | None,
    **facts: Any,
) -> Inspection:
    """The inspection in which a photo was decided on so.

    Args:
        decision, limits: what the rule said, and where it fired.
        probabilities: by class, as the rule saw them; empty if nothing can be said.
        anomaly_score: likewise; None if nothing can be said.
        facts: the other fields of `Inspection`.
    """
    return Inspection(
        verdict=decision.verdict,
        score=decision.score,
        needs_review=decision.needs_review,
        review_reasons=list(decision.review_reasons),
        rules=list(decision.rules),
        classifier=ClassifierOpinion(
            probabilities=dict(probabilities),
            defect_probability=decision.defect_probability,
            limit=limits.classifier,
        ),
        anomaly=AnomalyOpinion(score=anomaly_score, limit=limits.anomaly),
        **facts,
    )


def describe(inspection: Inspection) -> dict[str, Any]:
    """The inspection as plain JSON values."""
    return inspection.model_dump(mode="json")
