"""Finding inspections again: by id, by request, and page by page."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVarTuple

from sqlalchemy import Connection, Row, Select, func, literal, select, tuple_

from models.decision import CLEAN
from service.archive.records import Record
from service.archive.tables import UtcDateTime, inspections, judgements
from service.errors import RequestError

Columns = TypeVarTuple("Columns")


@dataclass(frozen=True)
class Filters:
    """Which inspections are wanted; None does not restrict. `since` is included, `until` is not."""

    since: datetime | None = None
    until: datetime | None = None
    part: str | None = None
    serial: str | None = None
    camera: str | None = None
    verdict: str | None = None
    needs_review: bool | None = None

    def restrict(self, query: Select[*Columns], dialect: str) -> Select[*Columns]:
        """Add the conditions to a query that is meant for this dialect of SQL."""
        column = inspections.c
        narrowest = self._narrowest()
        if self.since is not None:
            query = query.where(column.time >= self.since)
        if self.until is not None:
            query = query.where(column.time < self.until)
        for name in ("part", "serial", "camera", "verdict", "needs_review"):
            if (value := getattr(self, name)) is not None:
                # Without statistics, SQLite takes any index; it cannot take that of an expression.
                hidden = dialect == "sqlite" and name != narrowest
                query = query.where(
                    (func.coalesce(column[name], column[name]) if hidden else column[name]) == value
                )
        return query

    def _narrowest(self) -> str | None:
        """The filter that is likely to leave the fewest inspections."""
        candidates = (
            ("serial", self.serial is not None),
            ("needs_review", self.needs_review is True),
            ("verdict", self.verdict not in (None, CLEAN)),
            ("camera", self.camera is not None),
            ("part", self.part is not None),
            ("verdict", self.verdict is not None),
            ("needs_review", self.needs_review is not None),
        )
        return next((name for name, narrow in candidates if narrow), None)


@dataclass(frozen=True)
class Cursor:
    """Where the next page begins: behind this inspection."""

    time: datetime
    id: str

    def encode(self) -> str:
        """As text that callers need not understand."""
        return base64.urlsafe_b64encode(json.dumps([self.time.isoformat(), self.id]).encode()).decode()

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """
        Raises:
            RequestError: `bad_field`, when it is not one of ours.
        """
        try:
            time, inspection_id = json.loads(base64.b64decode(text.encode(), altchars=b"-_", validate=True))
            moment = datetime.fromisoformat(time)
            if moment.tzinfo is None or not isinstance(inspection_id, str) or not inspection_id.isalnum():
                raise ValueError("the cursor holds something else")
            return cls(moment.astimezone(UTC), inspection_id)
        except (ValueError, TypeError, binascii.Error, OverflowError, RecursionError) as error:
            raise RequestError(
                "bad_field",
                f"The cursor {text[:32]!r} cannot be read.",
                "Pass on `next_cursor` of the page before as it is, or leave it out.",
            ) from error


def page(
    connection: Connection, filters: Filters, limit: int, after: Cursor | None = None
) -> tuple[list[Record], Cursor | None]:
    """The newest inspections behind `after`, at most `limit`, and where the next page begins, if one does.

    Pages are found by the last inspection of the page before, so that new ones shift nothing.
    """
    query = filters.restrict(select(inspections), connection.dialect.name)
    column = inspections.c
    if after is not None:
        behind = tuple_(literal(after.time, UtcDateTime), literal(after.id))
        query = query.where(tuple_(column.time, column.id) < behind)
    rows = connection.execute(query.order_by(column.time.desc(), column.id.desc()).limit(limit + 1)).all()
    records = [to_record(row) for row in rows[:limit]]
    more = len(rows) > limit
    return records, Cursor(records[-1].time, records[-1].id) if more else None


def neighbours(
    connection: Connection, record: Record, filters: Filters, each: int
) -> tuple[list[Record], list[Record]]:
    """The inspections just before and just after a record that pass the filters, at most `each` of both.

    Both lists are in the order of time.
    """
    column = inspections.c
    here = tuple_(literal(record.time, UtcDateTime), literal(record.id))
    place = tuple_(column.time, column.id)
    query = filters.restrict(select(inspections), connection.dialect.name).limit(each)
    before = query.where(place < here).order_by(column.time.desc(), column.id.desc())
    after = query.where(place > here).order_by(column.time, column.id)
    return (
        [to_record(row) for row in reversed(connection.execute(before).all())],
        [to_record(row) for row in connection.execute(after).all()],
    )


def count(connection: Connection, filters: Filters) -> int:
    """How many inspections pass the filters."""
    query = select(func.count()).select_from(inspections)
    return connection.execute(filters.restrict(query, connection.dialect.name)).scalar_one()


def find(connection: Connection, inspection_id: str) -> Record | None:
    """The inspection with this id."""
    row = connection.execute(select(inspections).where(inspections.c.id == inspection_id)).first()
    return to_record(row) if row is not None else None


def find_request(connection: Connection, part: str, request_key: str) -> Record | None:
    """The inspection that answered this request of this part."""
    column = inspections.c
    wanted = select(inspections).where(column.part == part, column.request_key == request_key)
    row = connection.execute(wanted).first()
    return to_record(row) if row is not None else None


def pictures_of(connection: Connection, ids: Sequence[str]) -> dict[str, set[str]]:
    """The paths that the rows of these ids name, by id, masks included; an id without a row is left out."""
    column = inspections.c
    wanted = list(ids)
    rows = connection.execute(
        select(column.id, column.photo, column.overlay).where(column.id.in_(wanted))
    ).all()
    named = {row.id: {path for path in (row.photo, row.overlay) if path} for row in rows}
    for inspection_id, mask in masks_of(connection, wanted):
        named.setdefault(inspection_id, set()).add(mask)
    return named


def masks_of(connection: Connection, ids: Sequence[str]) -> list[tuple[str, str]]:
    """The ids of inspections and the paths of the masks that people drew on their photos."""
    column = judgements.c
    drawn = select(column.inspection_id, column.mask).where(
        column.inspection_id.in_(list(ids)), column.mask.is_not(None)
    )
    return [(row.inspection_id, row.mask) for row in connection.execute(drawn)]


def to_record(row: Row[tuple[object, ...]]) -> Record:
    """A row of the table `inspections`."""
    return Record(**row._mapping)
