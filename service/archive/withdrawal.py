"""Takes back a verdict that was recorded and then must not be given."""

from sqlalchemy import delete, update

from models.answer import Inspection
from models.decision import INVALID
from service.archive.candidates import WAITING
from service.archive.database import Database
from service.archive.tables import inspections, reviews


def withdraw(database: Database, inspection: Inspection, reason: str) -> None:
    """Make the row of an inspection `invalid`, and let a repeated request be inspected anew.

    Raises:
        ArchiveUnavailableError: when the row could not be changed.
    """
    said = {
        "verdict": INVALID,
        "score": None,
        "needs_review": True,
        "review_reasons": [reason],
        "rules": [],
        "regions": [],
    }
    row = {
        "verdict": INVALID,
        "score": None,
        "needs_review": True,
        "rules": "",
        "request_key": None,
        "answer": inspection.model_copy(update=said).model_dump_json(),
    }
    with database.writing() as connection:
        connection.execute(update(inspections).where(inspections.c.id == inspection.id).values(row))
        waits = (reviews.c.inspection_id == inspection.id) & (reviews.c.state == WAITING)
        connection.execute(delete(reviews).where(waits))
