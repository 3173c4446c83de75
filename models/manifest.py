"""What a bundle says of itself: the schema of `manifest.json`."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.decision import CLEAN, RESERVED_CLASSES, Limits
from models.errors import UsageError
from models.fan import Fan
from models.precision import Precision
from models.preprocessing import Preprocessing
from models.quality import QualityGate, ReadingName

SCHEMA_VERSION = 1

# Part names and versions become folder names and URL parts.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


def check_part_name(part: str) -> None:
    """Refuse a part name that cannot be a folder and a URL part.

    Raises:
        UsageError: saying what a name may hold.
    """
    if not re.fullmatch(NAME_PATTERN, part):
        raise UsageError(
            f"{part!r} cannot be a part's name.",
            "Use --part with letters, digits, '.', '_' and '-', beginning with a letter or digit, up to 64.",
        )


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RateInterval(_Record):
    """A share of photos with its exact (Clopper-Pearson) 95 % interval; all in 0..1."""

    rate: float
    low: float
    high: float


class LimitOrigin(_Record):
    """Where a limit came from.

    Attributes:
        method: how it was chosen, for example `conformal` (a quantile of held-out good photos).
        target: the share of good parts this rule may reject, as asked for; where only escapes were asked for,
            or the limit was set by hand, the share that the photos let expect.
        supported: the smallest share that the number of photos can support, 1 / (n_good + 1).
        n_good, n_defective: held-out photos it was chosen on.
        n_groups: how many groups the good ones are of, each of which counts once in the interval; None where
            that is not known.
        false_rejects: share of those good photos at or above the limit.
        note: in plain words, what the photos can and cannot support; empty when all is well.
        max_escapes: the share of defective parts that both rules together may pass, if that was asked for.
    """

    method: str
    target: float
    supported: float
    n_good: int
    n_defective: int
    false_rejects: RateInterval
    note: str = ""
    max_escapes: float | None = None
    n_groups: int | None = None


class LimitOrigins(_Record):
    classifier: LimitOrigin | None
    anomaly: LimitOrigin


class HeatmapScale(_Record):
    """The bundle's one scale for every overlay, in anomaly-map units.

    Colour begins at `start` (just below the limit), the contour is drawn at `limit`, and the
    colour map ends at `top`.
    """

    start: float = Field(ge=0.0, allow_inf_nan=False)
    limit: float = Field(gt=0.0, allow_inf_nan=False)
    top: float = Field(gt=0.0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _rising(self) -> "HeatmapScale":
        if not self.start <= self.limit <= self.top:
            raise ValueError("start, limit and top of the heatmap must rise")
        return self


class TrunkProvenance(_Record):
    """Whose weights the features come from."""

    name: str
    sha256: str
    licence: str


class DatasetFingerprint(_Record):
    """The photos a bundle was made from.

    Attributes:
        layout: which data layout was recognised.
        sha256: digest over the sorted photo digests and labels.
        photos: number of photos per split and class, for example `{"train": {"clean": 132}}`.
        skipped: number of files that were left out.
    """

    layout: str
    sha256: str
    photos: dict[str, dict[str, int]]
    skipped: int


class Agreement(_Record):
    """How far another form of the graph is from fp32, on held-out photos.

    Attributes:
        photos: how many were compared.
        score: the largest difference of their scores, which are in 0..1.
        flips: how many got another verdict.
    """

    photos: int
    score: float
    flips: int


class Variant(_Record):
    """One graph that can be served: its file, the precision of its numbers, and how far it is from fp32."""

    file: str
    precision: Precision
    agreement: Agreement | None = None


class CalibrationReference(_Record):
    """What was read off clean held-out photos, one entry a photo: what drift is measured against.

    Attributes:
        readings: of the photos themselves, by name; see `models.quality`.
        anomaly_scores: what the anomaly limit was chosen on.
        defect_probabilities: what the classifier's limit was chosen on; None without defect classes.
    """

    readings: dict[ReadingName, list[float]]
    anomaly_scores: list[float]
    defect_probabilities: list[float] | None

    @model_validator(mode="after")
    def _of_one_length(self) -> "CalibrationReference":
        columns = [*self.readings.values(), self.defect_probabilities or self.anomaly_scores]
        if any(len(column) != len(self.anomaly_scores) for column in columns):
            raise ValueError("every column must have one entry a photo")
        return self


class Registration(_Record):
    """How photos are turned and moved before the model sees them: laid on a template.

    Attributes:
        file: of the template at the model's input size, as PNG: RGB, and in alpha what is judged.
        fan: at which angles to it parts are looked for.
    """

    file: str
    fan: Fan


class Manifest(_Record):
    """The whole of `manifest.json`.

    Attributes:
        variants: the graphs by precision.
        left_out: why training wrote no graph of a precision.
        quality: the gate that photos pass before they get a verdict; None for no gate.
        registration: the template that photos are laid on; None where they are taken as they lie.
        calibration: readings and scores of clean held-out photos; None where none were kept.
        files: maps each other file of the bundle to its sha256.
        checksum: `checksum_of` all the rest; None until it is written.
    """

    schema_version: Literal[1] = 1
    part: str = Field(pattern=NAME_PATTERN)
    version: str = Field(pattern=NAME_PATTERN)
    created: datetime
    classes: list[str] = Field(min_length=1)
    preprocessing: Preprocessing
    colour_order: Literal["RGB"] = "RGB"
    grid: tuple[int, int]
    limits: Limits
    limit_origins: LimitOrigins
    heatmap: HeatmapScale
    fusion: Literal["either rule"] = "either rule"
    trunk: TrunkProvenance
    dataset: DatasetFingerprint
    training: dict[str, Any]
    metrics: dict[str, Any]
    agreement: dict[str, float]
    libraries: dict[str, str]
    variants: dict[Precision, Variant]
    left_out: dict[Precision, str] = {}
    quality: QualityGate | None = None
    registration: Registration | None = None
    calibration: CalibrationReference | None = None
    files: dict[str, str]
    checksum: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Manifest":
        if self.classes[0] != CLEAN or len(set(self.classes)) != len(self.classes):
            raise ValueError("classes must be distinct and begin with `clean`")
        if reserved := RESERVED_CLASSES.intersection(self.classes[1:]):
            raise ValueError(f"no defect class may be called {', '.join(sorted(reserved))}")
        missing = [v.file for v in self.variants.values() if v.file not in self.files]
        if "fp32" not in self.variants or missing:
            raise ValueError(f"variants must hold fp32 and name listed files; not listed: {missing}")
        if self.registration is not None:
            if self.registration.file not in self.files:
                raise ValueError(f"the template {self.registration.file} must be a listed file")
            limit = self.quality.limits.get("registration") if self.quality else None
            if limit is None or limit.low is None or limit.low <= 0.0:
                raise ValueError("how well photos must fit the template needs a limit above 0")
        if misnamed := [name for name, v in self.variants.items() if name != v.precision]:
            raise ValueError(f"variants must be named after their precision: {', '.join(misnamed)}")
        return self


def checksum_of(raw: Mapping[str, Any]) -> str:
    """Hex sha256 of a manifest's JSON values without `checksum`: keys sorted, no spaces, UTF-8."""
    rest = {name: value for name, value in raw.items() if name != "checksum"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
