"""One inspection as it is kept."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from models.answer import Inspection
from models.formats import OverlayFormat

# kept: in the store. not_kept: the policy said no. removing: retention is at it. removed: it was.
PhotoState = Literal["kept", "not_kept", "removing", "removed"]


@dataclass(frozen=True)
class Record:
    """A row of the table `inspections`; the fields are its columns.

    Attributes:
        time: when it was recorded, UTC.
        rules: the rules that fired, separated by commas.
        request_key: what makes a repeated request known, unique within the part; None if nothing does.
        image_bytes: size of the encoded photo.
        answer: the whole `Inspection` as JSON.
        photo, overlay: paths in the photo store; None where there is none.
    """

    id: str
    time: datetime
    part: str
    serial: str | None
    camera: str | None
    verdict: str
    score: float | None
    needs_review: bool
    anomaly_score: float | None
    anomaly_limit: float
    defect_probability: float | None
    classifier_limit: float | None
    rules: str
    bundle_version: str
    provider: str
    request_key: str | None
    image_sha256: str
    image_bytes: int
    image_media_type: str
    answer: str
    photo_state: PhotoState
    photo: str | None
    overlay: str | None

    @property
    def inspection(self) -> Inspection:
        """The answer that was given."""
        return Inspection.model_validate_json(self.answer)

    @property
    def overlay_format(self) -> OverlayFormat | None:
        """The format of the overlay, which its path ends in; None where there is none."""
        if self.overlay is None:
            return None
        return "png" if self.overlay.endswith(".png") else "jpeg"

    def with_pictures(self, photo: str, overlay: str | None) -> "Record":
        """The record once its pictures are in the store."""
        return replace(self, photo_state="kept", photo=photo, overlay=overlay)


def record_of(inspection: Inspection, *, time: datetime, size: int, request_key: str | None) -> Record:
    """The record of an inspection without pictures; `size` is the encoded photo's in bytes."""
    return Record(
        id=inspection.id,
        time=time,
        part=inspection.part,
        serial=inspection.serial,
        camera=inspection.camera,
        verdict=inspection.verdict,
        score=inspection.score,
        needs_review=inspection.needs_review,
        anomaly_score=inspection.anomaly.score,
        anomaly_limit=inspection.anomaly.limit,
        defect_probability=inspection.classifier.defect_probability,
        classifier_limit=inspection.classifier.limit,
        rules=",".join(inspection.rules),
        bundle_version=inspection.bundle_version,
        provider=inspection.provider,
        request_key=request_key,
        image_sha256=inspection.image.sha256,
        image_bytes=size,
        image_media_type=inspection.image.media_type,
        answer=inspection.model_dump_json(),
        photo_state="not_kept",
        photo=None,
        overlay=None,
    )
