"""Finding inspections again: by id, by request, and page by page."""

from collections.abc import Sequence
from typing import TypeVarTuple

from sqlalchemy import Connection, Row, Select, func, literal, select, tuple_

from service.archive.filters import Cursor, Filters
from service.archive.records import Record
from service.archive.tables import UtcDateTime, inspections, judgements

Columns = TypeVarTuple("Columns")


def restricted(query: Select[*Columns], filters: Filters, dialect: str) -> Select[*Columns]:
    """Add the conditions to a query that is meant for this dialect of SQL."""
    column = inspections.c
    narrowest = filters.narrowest()
    if filters.since is not None:
        query = query.where(column.time >= filters.since)
    if filters.until is not None:
        query = query.where(column.time < filters.until)
    for name in ("part", "serial", "camera", "verdict", "needs_review"):
        if (value := getattr(filters, name)) is not None:
            # Without statistics, SQLite takes any index; it cannot take that of an expression.
            hidden = dialect == "sqlite" and name != narrowest
            query = query.where(
                (func.coalesce(column[name], column[name]) if hidden else column[name]) == value
            )
    return query


def page(
    connection: Connection, filters: Filters, limit: int, after: Cursor | None = None
) -> tuple[list[Record], Cursor | None]:
    """The newest inspections behind `after`, at most `limit`, and where the next page begins, if one does.

    Pages are found by the last inspection of the page before, so that new ones shift nothing.
    """
    query = restricted(select(inspections), filters, connection.dialect.name)
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
    query = restricted(select(inspections), filters, connection.dialect.name).limit(each)
    before = query.where(place < here).order_by(column.time.desc(), column.id.desc())
    after = query.where(place > here).order_by(column.time, column.id)
    return (
        [to_record(row) for row in reversed(connection.execute(before).all())],
        [to_record(row) for row in connection.execute(after).all()],
    )


def count(connection: Connection, filters: Filters) -> int:
    """How many inspections pass the filters."""
    query = select(func.count()).select_from(inspections)
    return connection.execute(restricted(query, filters, connection.dialect.name)).scalar_one()


def find(connection: Connection, inspection_id: str) -> Record | None:
    """The inspection with this id."""
    row = connection.execute(select(inspections).where(inspections.c.id == inspection_id)).first()
    return to_record(row) if row is not None else None


def find_all(connection: Connection, ids: Sequence[str]) -> list[Record]:
    """The inspections with these ids, in this order; those that are not there are left out."""
    rows = connection.execute(select(inspections).where(inspections.c.id.in_(list(ids))))
    found = {row.id: to_record(row) for row in rows}
    return [found[each] for each in ids if each in found]


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
