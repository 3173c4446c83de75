"""Reads what the numbers are made of in the order of time, into columns: 20 bytes an inspection."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import BigInteger, Connection, Select, String, cast, extract, func, select, type_coerce

from models.decision import CLEAN, INVALID
from service.archive.tables import inspections

# No name holds it: names are printable.
_SEPARATOR = "\n"
_CHUNK = 5000

Names = tuple[str, str, str, str]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Read:
    """Inspections in the order of time.

    Attributes:
        times: datetime64[us] [N], UTC, rising.
        codes: of each inspection, which of `names` it has: int32 [N].
        scores: float64 [N], NaN where there is none.
        names: the distinct (part, camera, version, verdict); a camera that was not named is empty.
        cut: older inspections of the period were left out, since there are too many.
    """

    times: npt.NDArray[np.datetime64]
    codes: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float64]
    names: Sequence[Names]
    cut: bool

    @property
    def oldest(self) -> datetime | None:
        """When the first of them was recorded."""
        if not len(self.times):
            return None
        first: datetime = self.times[0].astype(datetime)
        return first.replace(tzinfo=UTC)

    def moments_of(self, chosen: Mask, most: int) -> list[datetime]:
        """When the newest `most` of the chosen were recorded, UTC; the newest first."""
        stamps = self.times[chosen][-most:][::-1]
        return [stamp.replace(tzinfo=UTC) for stamp in stamps.astype(datetime).tolist()]

    def places_of(self, moments: Iterable[datetime]) -> list[int]:
        """How many of the inspections came before each of these moments."""
        places: list[int] = np.searchsorted(self.times, _stamps(moments)).tolist()
        return places

    def are_among(self, chosen: Mask, moments: Iterable[datetime]) -> list[bool]:
        """Whether one of the chosen was recorded at each of these moments."""
        found: list[bool] = np.isin(_stamps(moments), self.times[chosen]).tolist()
        return found

    def from_(self, first: int, last: int | None = None, *, cut: bool = False) -> "Read":
        """Those from one place to another; `cut` says that there were more that belong to them."""
        part = np.s_[first:last]
        columns = {name: getattr(self, name)[part] for name in ("times", "codes", "scores")}
        return replace(self, **columns, cut=self.cut or cut)

    def having(self, position: int, value: str) -> Mask:
        """Which inspections have this value at a position of their names: bool [N]."""
        return self._of_names(lambda names: names[position] == value)

    def rejects(self) -> Mask:
        """Which were given as defects: bool [N]."""
        return self._of_names(lambda names: is_reject(names[3]))

    def invalid(self) -> Mask:
        """Which got no verdict: bool [N]."""
        return self._of_names(lambda names: names[3] == INVALID)

    def _of_names(self, holds: Callable[[Names], bool]) -> Mask:
        table = np.array([holds(names) for names in self.names], np.bool_)
        found: Mask = table[self.codes]
        return found


def is_reject(verdict: str) -> bool:
    """Whether a verdict is that of a defect."""
    return verdict not in (CLEAN, INVALID)


def read(
    connection: Connection,
    since: datetime | None,
    until: datetime | None,
    most: int,
    numbers: dict[str, int] | None = None,
) -> Read:
    """Read the newest inspections of a period, at most about `most`.

    Args:
        numbers: which codes names have already; new ones are added.
    """
    cut = cut_of(connection, since, until, most)
    query = select(_stamp(connection.dialect.name), _joined(), inspections.c.score)
    query = within(query, cut or since, until).order_by(inspections.c.time)
    numbers = {} if numbers is None else numbers
    times, codes, scores = [np.zeros(0, "<M8[us]")], [np.zeros(0, np.int32)], [np.zeros(0)]
    # In pieces, since the rows take twenty times the memory of the columns.
    for rows in connection.execution_options(stream_results=True).execute(query).partitions(_CHUNK):
        stamps, texts, values = zip(*rows, strict=True)
        times.append(np.array(stamps, "<M8[us]"))
        codes.append(np.array([numbers.setdefault(text, len(numbers)) for text in texts], np.int32))
        scores.append(np.array(values, np.float64))
    return Read(
        np.concatenate(times),
        np.concatenate(codes),
        np.concatenate(scores),
        [_split(text) for text in numbers],
        cut is not None,
    )


def cut_of(
    connection: Connection, since: datetime | None, until: datetime | None, most: int
) -> datetime | None:
    """The moment from which on there are `most` inspections; None if there are no more than that."""
    newest = within(select(inspections.c.time), since, until).order_by(inspections.c.time.desc())
    found = connection.scalars(newest.offset(most - 1).limit(2)).all()
    return found[0] if len(found) == 2 else None


def within(query: Select[Any], since: datetime | None, until: datetime | None) -> Select[Any]:
    """Restrict a query to inspections of a period."""
    column = inspections.c.time
    if since is not None:
        query = query.where(column >= since)
    return query if until is None else query.where(column < until)


def _stamp(dialect: str) -> Any:
    """The time in a form that NumPy reads: text of SQLite, microseconds since 1970 of PostgreSQL."""
    column = inspections.c.time
    if dialect == "sqlite":
        return type_coerce(column, String)
    return cast(extract("epoch", column) * 1_000_000, BigInteger)


def _joined() -> Any:
    """The names as one text, so that one has to be looked up a row and not four."""
    column = inspections.c
    text = column.part + _SEPARATOR + func.coalesce(column.camera, "")
    return text + _SEPARATOR + column.bundle_version + _SEPARATOR + column.verdict


def _stamps(moments: Iterable[datetime]) -> npt.NDArray[np.datetime64]:
    return np.array([moment.astimezone(UTC).replace(tzinfo=None) for moment in moments], "<M8[us]")


def _split(text: str) -> Names:
    part, camera, version, verdict = text.split(_SEPARATOR)
    return part, camera, version, verdict
