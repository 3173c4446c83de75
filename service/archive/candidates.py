"""Which inspections a person is to look at: defects, doubtful ones, and a sample of the clean ones."""

from typing import Any

from models.decision import CLEAN, INVALID
from service.archive.policy import draw
from service.archive.records import Record

DEFECT = "defect"
DOUBT = "doubt"
SAMPLE = "sample"
CHOSEN = "chosen"

WAITING = "waiting"
JUDGED = "judged"
GONE = "gone"


def candidate_of(record: Record, review_share: float) -> dict[str, Any] | None:
    """The row of `reviews` that comes with a record; None if nobody is asked to look at it.

    What has no photo cannot be looked at, and `invalid` is no verdict that one could accept or overrule.

    Args:
        review_share: share 0..1 of the clean ones that is looked at, chosen by their ids alone.
    """
    if record.photo_state != "kept" or record.verdict == INVALID:
        return None
    if record.verdict != CLEAN:
        reason = DEFECT
    elif record.needs_review:
        reason = DOUBT
    elif draw(record.id) < review_share:
        reason = SAMPLE
    else:
        return None
    return review_row(record, reason)


def review_row(record: Record, reason: str) -> dict[str, Any]:
    """A row of `reviews` that waits for its first judgement."""
    return {
        "inspection_id": record.id,
        "time": record.time,
        "part": record.part,
        "verdict": record.verdict,
        "reason": reason,
        "doubt": 0.0 if record.score is None else abs(record.score - 0.5),
        "state": WAITING,
    }
