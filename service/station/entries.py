"""One inspection as the board shows it, wherever it is known from."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from models.answer import Inspection
from models.decision import INVALID
from models.quality import refusals
from service.archive.records import Record
from service.errors import is_of_canary
from service.telemetry.record import RequestRecord
from service.verdicts import Kind, kind_of


@dataclass(frozen=True)
class Entry:
    """One line of the board.

    Attributes:
        time: when it was answered or recorded, UTC.
        kind: what the verdict amounts to; `invalid` is a part that was not inspected.
        code: why there is no verdict; empty where there is one.
        has_picture: there may be something to look at.
    """

    id: str
    time: datetime
    part: str
    serial: str
    camera: str
    verdict: str
    kind: Kind
    score: float | None
    needs_review: bool
    code: str = ""
    has_picture: bool = False

    def as_json(self) -> dict[str, Any]:
        """JSON values; the time as ISO 8601."""
        return {**asdict(self), "time": self.time.isoformat()}


def entry_of_inspection(inspection: Inspection) -> Entry:
    """The entry of an inspection that has just been made."""
    return Entry(
        id=inspection.id,
        time=datetime.now(UTC),
        part=inspection.part,
        serial=inspection.serial or "",
        camera=inspection.camera or "",
        verdict=inspection.verdict,
        kind=kind_of(inspection.verdict),
        score=inspection.score,
        needs_review=inspection.needs_review,
        code=_code_of(inspection),
        has_picture=True,
    )


def _code_of(inspection: Inspection) -> str:
    if inspection.verdict != INVALID:
        return ""
    if refusals(inspection.quality):
        return "quality_gate"
    if any(is_of_canary(reason, inspection.part) for reason in inspection.review_reasons):
        return "canary_failed"
    return "untrustworthy_outputs"


def entry_of_record(record: Record) -> Entry:
    """The entry of an inspection in the archive."""
    return Entry(
        id=record.id,
        time=record.time,
        part=record.part,
        serial=record.serial or "",
        camera=record.camera or "",
        verdict=record.verdict,
        kind=kind_of(record.verdict),
        score=record.score,
        needs_review=record.needs_review,
        code=_code_of(record.inspection) if record.verdict == INVALID else "",
        has_picture=record.photo_state == "kept",
    )


def entry_of_refusal(record: RequestRecord) -> Entry:
    """The entry of a photo that was sent and got no verdict."""
    return Entry(
        id=record.id,
        time=datetime.fromtimestamp(record.ended, UTC),
        part=record.part or "",
        serial=record.serial or "",
        camera=record.camera or "",
        verdict=INVALID,
        kind="invalid",
        score=None,
        needs_review=True,
        code=record.code or "left",
    )
