"""Chooses what a data set is made of: what was judged, and agreed on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, and_, select, update

from service.archive.candidates import JUDGED
from service.archive.database import Database
from service.archive.queries import to_record
from service.archive.records import Record
from service.archive.tables import inspections, judgements, reviews
from service.review.judgements import Judgement, standing

CANNOT_TELL = "cannot tell"
DISAGREEMENT = "disagreement"
PHOTO_REMOVED = "photo removed"
_CHUNK = 200


@dataclass(frozen=True)
class Reviewed:
    """An inspection with the judgement that stands; `left_out` says why it cannot be used, if it cannot."""

    record: Record
    judgement: Judgement
    left_out: str = ""


def reviewed(connection: Connection, part: str) -> list[Reviewed]:
    """All inspections of a part that were judged, the oldest first."""
    column = reviews.c
    judged = select(column.inspection_id).where(column.state == JUDGED, column.part == part)
    ids = [str(found) for found in connection.scalars(judged.order_by(column.time, column.inspection_id))]
    found: list[Reviewed] = []
    for start in range(0, len(ids), _CHUNK):
        found += _reviewed(connection, ids[start : start + _CHUNK])
    return _without_contradictions(found)


def mark_exported(database: Database, used: dict[str, str]) -> None:
    """Note which judgements went into a data set: from now on, retention may remove their photos.

    A judgement that was replaced meanwhile is not noted, so its photo stays.

    Raises:
        ArchiveUnavailableError: when that could not be noted.
    """
    column = reviews.c
    pairs = list(used.items())
    for start in range(0, len(pairs), _CHUNK):
        with database.writing() as connection:
            for inspection_id, judgement_id in pairs[start : start + _CHUNK]:
                which = and_(column.inspection_id == inspection_id, column.judgement_id == judgement_id)
                connection.execute(update(reviews).where(which).values(exported=judgement_id))


def _reviewed(connection: Connection, ids: Sequence[str]) -> list[Reviewed]:
    records = {
        row.id: to_record(row)
        for row in connection.execute(select(inspections).where(inspections.c.id.in_(ids)))
    }
    column = judgements.c
    said: dict[str, list[Judgement]] = {}
    for row in connection.execute(
        select(judgements).where(column.inspection_id.in_(ids)).order_by(column.number)
    ):
        said.setdefault(row.inspection_id, []).append(Judgement(**row._mapping))
    found = []
    for inspection_id in ids:
        stands = standing(said.get(inspection_id, ()))
        if stands is not None:
            record = records[inspection_id]
            found.append(Reviewed(record, stands, _reason(record, stands, said[inspection_id])))
    return found


def _reason(record: Record, stands: Judgement, past: Sequence[Judgement]) -> str:
    if stands.label is None:
        return CANNOT_TELL
    if _disagree(stands, past):
        return DISAGREEMENT
    if record.photo_state != "kept":
        return PHOTO_REMOVED
    return ""


def _disagree(stands: Judgement, past: Sequence[Judgement]) -> bool:
    """Whether as many operators say otherwise as agree, each by what they said last and did not take back."""
    last: dict[str, str] = {}
    undone = _undone(past)
    for judgement in past:
        if judgement.label is not None and judgement.id not in undone:
            last[judgement.operator] = judgement.label
    agreeing = sum(label == stands.label for label in last.values())
    return len(last) - agreeing >= agreeing


def _undone(past: Sequence[Judgement]) -> set[str]:
    """The judgements that an undo took back."""
    taken = set()
    for index, judgement in enumerate(past):
        if judgement.decision == "undo":
            stood = standing(past[:index])
            if stood is not None:
                taken.add(stood.id)
    return taken


def _without_contradictions(found: Iterable[Reviewed]) -> list[Reviewed]:
    """Leave out equal photos that were judged differently."""
    found = list(found)
    labels: dict[str, set[str | None]] = {}
    for item in found:
        if not item.left_out:
            labels.setdefault(item.record.image_sha256, set()).add(item.judgement.label)
    return [
        replace(item, left_out=DISAGREEMENT)
        if not item.left_out and len(labels[item.record.image_sha256]) > 1
        else item
        for item in found
    ]
