"""Counts what was judged in a period."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, select
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from models.decision import ANOMALOUS, CLEAN
from models.intervals import Share, share
from service.archive.candidates import CHOSEN, GONE, JUDGED, SAMPLE, WAITING
from service.archive.tables import inspections, reviews
from service.review.figures import Numbers, Period

_COLUMN = reviews.c


@dataclass(frozen=True)
class _Judged:
    """How many inspections were judged alike."""

    reason: str
    was_clean: bool
    decision: str
    label: str | None
    count: int


def numbers(connection: Connection, period: Period, samples: Callable[[str], bool]) -> Numbers:
    """Count what was judged in a period; `samples` says of which parts there is a sample."""
    judged = _judged(connection, period)
    told = [each for each in judged if each.label is not None and each.reason != CHOSEN]
    escapes = _share([each for each in told if each.reason == SAMPLE], _is_defect)
    passed = _passed(connection, period, samples)
    expected = None
    if escapes.rate is not None and escapes.low is not None and escapes.high is not None:
        expected = (escapes.rate * passed, escapes.low * passed, escapes.high * passed)
    defects: Counter[str] = Counter()
    for each in judged:
        if each.label not in (None, CLEAN):
            defects[each.label or ANOMALOUS] += each.count
    return Numbers(
        escapes=escapes,
        passed=passed,
        sample_waiting=_sample(connection, period, WAITING),
        sample_gone=_sample(connection, period, GONE),
        escapes_expected=expected,
        doubtful_defects=_share([e for e in told if e.was_clean and e.reason != SAMPLE], _is_defect),
        false_rejects=_share([each for each in told if not each.was_clean], lambda e: not _is_defect(e)),
        disagreement=_share(told, lambda each: each.decision == "overrule"),
        cannot_tell=sum(each.count for each in judged if each.label is None),
        defects=sorted(defects.items(), key=lambda item: (-item[1], item[0])),
    )


def _is_defect(judged: _Judged) -> bool:
    return judged.label != CLEAN


def _share(judged: Sequence[_Judged], holds: Callable[[_Judged], bool]) -> Share:
    return share(sum(each.count for each in judged if holds(each)), sum(each.count for each in judged))


def _judged(connection: Connection, period: Period) -> list[_Judged]:
    was_clean = _COLUMN.verdict == CLEAN
    alike = (_COLUMN.reason, was_clean, _COLUMN.decision, _COLUMN.label)
    query = select(*alike, func.count()).where(_COLUMN.state == JUDGED, *_within(_COLUMN, period))
    return [
        _Judged(reason, bool(clean), decision, label, count)
        for reason, clean, decision, label, count in connection.execute(query.group_by(*alike))
    ]


def _passed(connection: Connection, period: Period, samples: Callable[[str], bool]) -> int:
    column = inspections.c
    # In the order of an index that holds all of it: to ask for the clean ones alone would read wide rows.
    alike = (column.part, column.verdict, column.needs_review)
    query = select(*alike, func.count()).where(*_within(column, period)).group_by(*alike)
    counted = connection.execute(query)
    return sum(
        count
        for part, verdict, needs_review, count in counted
        if verdict == CLEAN and not needs_review and samples(part)
    )


def _sample(connection: Connection, period: Period, state: str) -> int:
    sample = and_(_COLUMN.state == state, _COLUMN.reason == SAMPLE)
    query = select(func.count()).select_from(reviews).where(sample, *_within(_COLUMN, period))
    return connection.execute(query).scalar_one()


def _within(column: ReadOnlyColumnCollection[str, Any], period: Period) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if period.part is not None:
        conditions.append(column.part == period.part)
    if period.since is not None:
        conditions.append(column.time >= period.since)
    if period.until is not None:
        conditions.append(column.time < period.until)
    named = _named(period)
    if named and column is _COLUMN:
        own = select(inspections.c.id).where(inspections.c.id == column.inspection_id, *named)
        return [*conditions, own.exists()]
    return [*conditions, *named]


def _named(period: Period) -> list[ColumnElement[bool]]:
    """What the reviews do not say. A camera's are found by its index, a version's counted in its own."""
    column = inspections.c
    conditions: list[ColumnElement[bool]] = []
    if period.camera is not None:
        conditions.append(column.camera == period.camera if period.camera else column.camera.is_(None))
    if period.version is not None:
        conditions.append(column.bundle_version == period.version)
    return conditions
