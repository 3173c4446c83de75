"""Records a judgement: the mask first, then its row and what now stands, in one transaction."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, update
from sqlalchemy.exc import IntegrityError

from service.archive.candidates import CHOSEN, GONE, JUDGED, WAITING, review_row
from service.archive.errors import ArchiveUnavailableError, UnknownInspectionError
from service.archive.holdings import Holdings
from service.archive.queries import find
from service.archive.records import Record
from service.archive.store import path_of
from service.archive.tables import judgements, reviews
from service.errors import reason_of
from service.review.errors import (
    JudgedMeanwhileError,
    NothingToUndoError,
    NotJudgeableError,
    UnknownJudgementError,
)
from service.review.history import history
from service.review.judgements import Judgement, Opinion, before, can_be_judged, label_of, standing


def judge(holdings: Holdings, inspection_id: str, opinion: Opinion) -> Judgement:
    """Record what an operator says, if nobody has said anything that the operator has not seen.

    Raises:
        UnknownInspectionError: when there is no such inspection.
        UnknownJudgementError: when `opinion.supersedes` is none of its judgements.
        JudgedMeanwhileError: when another judgement came between; nothing is recorded then.
        NotJudgeableError, NothingToUndoError: when there is nothing to judge, or to undo.
        RequestError: `bad_field` or `bad_mask`, when the opinion contradicts itself.
        ArchiveUnavailableError: when it could not be recorded.
    """
    with holdings.database.reading() as connection:
        record = find(connection, inspection_id)
        past = history(connection, inspection_id)
    if record is None:
        raise UnknownInspectionError(inspection_id)
    if not can_be_judged(record.verdict):
        raise NotJudgeableError
    _check_predecessor(past, opinion.supersedes)
    judgement = _judgement_of(record, past, opinion)
    if opinion.mask is not None and judgement.mask is not None:
        # Few judgements come with a mask, and it takes what reads pictures.
        from service.review.masks import read_mask

        image = record.inspection.image
        mask = read_mask(opinion.mask, image.width, image.height)
        _keep_mask(holdings, judgement, judgement.mask, mask)
    try:
        with holdings.database.writing() as connection:
            _write(connection, record, judgement, [*past, judgement])
    except IntegrityError:
        _doubt_mask(holdings, judgement)
        with holdings.database.reading() as connection:
            latest = history(connection, inspection_id)
        if not latest:
            raise UnknownInspectionError(inspection_id) from None
        raise JudgedMeanwhileError(latest[-1]) from None
    except ArchiveUnavailableError:
        _doubt_mask(holdings, judgement)
        raise
    return judgement


def _check_predecessor(past: Sequence[Judgement], supersedes: str | None) -> None:
    latest = past[-1].id if past else None
    if supersedes == latest:
        return
    if not past or supersedes not in (None, *(item.id for item in past)):
        raise UnknownJudgementError(supersedes or "")
    raise JudgedMeanwhileError(past[-1])


def _judgement_of(record: Record, past: Sequence[Judgement], opinion: Opinion) -> Judgement:
    label = label_of(record.verdict, opinion)
    new_id, now = uuid.uuid4().hex, datetime.now(UTC)
    stands: str | None = new_id
    if opinion.decision == "undo":
        undone = standing(past)
        if undone is None:
            raise NothingToUndoError
        earlier = before(past, undone)
        stands = earlier.id if earlier else None
    # By the hour of the judgement: that is where a killed service's leftovers are looked for.
    mask = path_of(record.id, now, f".mask-{new_id}.png") if opinion.mask is not None else None
    return Judgement(
        id=new_id,
        inspection_id=record.id,
        number=len(past) + 1,
        supersedes=opinion.supersedes,
        decision=opinion.decision,
        label=label,
        note=opinion.note,
        operator=opinion.operator,
        key_id=opinion.key_id,
        time=now,
        mask=mask,
        stands=stands,
    )


def _keep_mask(holdings: Holdings, judgement: Judgement, path: str, mask: bytes) -> None:
    try:
        holdings.store.write(path, mask)
    except Exception as error:  # each kind of store fails with errors of its own
        _doubt_mask(holdings, judgement)
        raise ArchiveUnavailableError(reason_of(error)) from error


def _doubt_mask(holdings: Holdings, judgement: Judgement) -> None:
    if judgement.mask is not None:
        holdings.orphans.doubt(judgement.inspection_id, judgement.mask)


def _write(connection: Connection, record: Record, judgement: Judgement, past: Sequence[Judgement]) -> None:
    # First, since it is what two operators meet at: the second of two equal numbers is refused.
    connection.execute(insert(judgements).values(asdict(judgement)))
    stands = standing(past)
    waiting = WAITING if record.photo_state == "kept" else GONE
    now = {
        "state": JUDGED if stands else waiting,
        "judgement_id": stands.id if stands else None,
        "decision": stands.decision if stands else None,
        "label": stands.label if stands else None,
        "holder": None,
        "lease_until": None,
    }
    found = connection.execute(update(reviews).where(reviews.c.inspection_id == record.id).values(now))
    if not found.rowcount:
        connection.execute(insert(reviews).values({**review_row(record, CHOSEN), **now}))
