"""The queue of what people are to look at. Items are leased for a while, so that two get different ones."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update
from sqlalchemy.sql.elements import UnaryExpression

from service.archive.candidates import JUDGED, WAITING
from service.archive.database import Database
from service.archive.tables import reviews
from service.review.items import REASONS, Counts, Item, Wish

# Renewed by whoever is looking; what was left open on a screen is free again soon.
LEASE = timedelta(seconds=90)
# What an operator put off comes back after this.
PUT_OFF = timedelta(minutes=10)
_NOBODY = "put off"
# Where two services meet at an item, one of them looks again.
_TRIES = 5

_COLUMN = reviews.c


def waiting(connection: Connection, wish: Wish, limit: int, now: datetime) -> list[Item]:
    """The first items that wait, at most `limit`."""
    query = select(reviews).where(*_wanted(wish)).order_by(*_order(wish)).limit(limit)
    return [
        Item(
            inspection_id=row.inspection_id,
            time=row.time,
            part=row.part,
            verdict=row.verdict,
            reason=row.reason,
            doubt=row.doubt,
            held=row.lease_until is not None and row.lease_until > now,
        )
        for row in connection.execute(query)
    ]


def counts(connection: Connection, part: str | None) -> Counts:
    """How much there is to do, and how much was done."""
    query = select(_COLUMN.state, _COLUMN.reason, func.count()).group_by(_COLUMN.state, _COLUMN.reason)
    query = query.where(_COLUMN.state.in_((WAITING, JUDGED)))
    if part is not None:
        query = query.where(_COLUMN.part == part)
    found = connection.execute(query).all()
    return Counts(
        waiting={
            reason: sum(n for state, why, n in found if (state, why) == (WAITING, reason))
            for reason in REASONS
        },
        judged=sum(n for state, _, n in found if state == JUDGED),
    )


def take(database: Database, holder: str, wish: Wish, now: datetime) -> str | None:
    """Lease an item, the one that `holder` has already or the first that nobody has; its inspection's id.

    Raises:
        ArchiveUnavailableError: when the database does not answer.
    """
    held = select(_COLUMN.inspection_id).where(
        _COLUMN.holder == holder, _COLUMN.lease_until > now, *_wanted(wish)
    )
    with database.reading() as connection:
        found = connection.scalar(held.limit(1))
    if found is not None and hold(database, found, holder, now):
        return str(found)
    free = select(_COLUMN.inspection_id).where(_free(holder, now), *_wanted(wish)).order_by(*_order(wish))
    for _ in range(_TRIES):
        with database.reading() as connection:
            found = connection.scalar(free.limit(1))
        if found is None:
            return None
        if hold(database, found, holder, now):
            return str(found)
    return None


def hold(database: Database, inspection_id: str, holder: str, now: datetime) -> bool:
    """Lease this item, or renew its lease; whether nobody else has it and it still waits."""
    return _set(database, inspection_id, holder, now, holder, now + LEASE)


def is_held(connection: Connection, inspection_id: str, now: datetime) -> bool:
    """Whether somebody has a lease of this item; what was put off, nobody has."""
    leased = select(_COLUMN.inspection_id).where(
        _COLUMN.inspection_id == inspection_id,
        _COLUMN.state == WAITING,
        _COLUMN.lease_until > now,
        _COLUMN.holder != _NOBODY,
    )
    return connection.scalar(leased) is not None


def release(database: Database, inspection_id: str, holder: str, now: datetime) -> bool:
    """Give an item back at once, for anybody to take; whether it was there to give."""
    return _set(database, inspection_id, holder, now, None, None)


def put_off(database: Database, inspection_id: str, holder: str, now: datetime) -> bool:
    """Give an item back so that it comes again later, to anybody; whether it was there to give."""
    return _set(database, inspection_id, holder, now, _NOBODY, now + PUT_OFF)


def _set(
    database: Database,
    inspection_id: str,
    asking: str,
    now: datetime,
    holder: str | None,
    until: datetime | None,
) -> bool:
    which = and_(_COLUMN.inspection_id == inspection_id, _COLUMN.state == WAITING, _free(asking, now))
    with database.writing() as connection:
        changed = connection.execute(update(reviews).where(which).values(holder=holder, lease_until=until))
    return bool(changed.rowcount)


def _free(holder: str, now: datetime) -> ColumnElement[bool]:
    return or_(_COLUMN.lease_until.is_(None), _COLUMN.lease_until <= now, _COLUMN.holder == holder)


def _wanted(wish: Wish) -> Sequence[ColumnElement[bool]]:
    conditions = [_COLUMN.state == WAITING]
    if wish.part is not None:
        conditions.append(_COLUMN.part == wish.part)
    if wish.reason is not None:
        conditions.append(_COLUMN.reason == wish.reason)
    return conditions


def _order(wish: Wish) -> Sequence["UnaryExpression[object]"]:
    if wish.order == "doubtful":
        return (_COLUMN.doubt.asc(), _COLUMN.inspection_id.asc())
    if wish.order == "newest":
        return (_COLUMN.time.desc(), _COLUMN.inspection_id.desc())
    return (_COLUMN.time.asc(), _COLUMN.inspection_id.asc())
