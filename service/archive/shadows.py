"""Shadow verdicts in the archive: each belongs to an inspection, and goes when that goes."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError

from service.archive.database import Database
from service.archive.tables import shadow_verdicts
from service.shadow.comparison import Flip, ShadowVerdict

_COLUMN = shadow_verdicts.c


def write(database: Database, verdicts: Sequence[ShadowVerdict]) -> None:
    """Write some at once; those whose inspection is not there any more are left out.

    Raises:
        ArchiveUnavailableError: when none was written.
    """
    rows = [_row(each) for each in verdicts]
    try:
        with database.writing() as connection:
            connection.execute(insert(shadow_verdicts), rows)
    except IntegrityError:
        # The inspection of one was removed meanwhile, or the photo was judged by this bundle before.
        _insert_what_can_be(database, rows)


def pairs(connection: Connection, part: str, version: str, active: str) -> dict[tuple[str, str], int]:
    """How many photos got which verdict of the active bundle and which of the candidate."""
    alike = (_COLUMN.active_verdict, _COLUMN.verdict)
    query = select(*alike, func.count()).where(
        _COLUMN.part == part, _COLUMN.version == version, _COLUMN.active_version == active
    )
    return {(given, said): count for given, said, count in connection.execute(query.group_by(*alike))}


def flips(connection: Connection, part: str, version: str, active: str, limit: int) -> list[Flip]:
    """Where the two differ, the newest first."""
    query = (
        select(_COLUMN.inspection_id, _COLUMN.time, _COLUMN.active_verdict, _COLUMN.verdict)
        .where(
            _COLUMN.part == part,
            _COLUMN.version == version,
            _COLUMN.active_version == active,
            _COLUMN.flipped.is_(True),
        )
        .order_by(_COLUMN.time.desc())
        .limit(limit)
    )
    return [Flip(*row) for row in connection.execute(query)]


def _insert_what_can_be(database: Database, rows: Sequence[dict[str, Any]]) -> None:
    """One by one, yet in one transaction: cameras wait for each commit."""
    with database.writing() as connection:
        for row in rows:
            with suppress(IntegrityError), connection.begin_nested():
                connection.execute(insert(shadow_verdicts), row)


def _row(verdict: ShadowVerdict) -> dict[str, Any]:
    names = list(ShadowVerdict.__dataclass_fields__)
    return {**{name: getattr(verdict, name) for name in names}, "flipped": verdict.flipped}
