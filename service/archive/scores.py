"""Reads the scores of the newest inspections of a part, for what other limits would have done."""

from typing import Any

from sqlalchemy import Connection, and_, select

from models.decision import CLEAN, INVALID
from service.archive.candidates import JUDGED
from service.archive.scored import RecentScores, Scored
from service.archive.tables import inspections, reviews


def recent_scores(connection: Connection, part: str, version: str | None, last: int) -> RecentScores:
    """Look at the newest `last` inspections of a part; None for the version of the newest one."""
    column = inspections.c
    told = and_(reviews.c.inspection_id == column.id, reviews.c.state == JUDGED)
    query = (
        select(
            column.id,
            column.bundle_version,
            column.verdict,
            column.anomaly_score,
            column.defect_probability,
            column.anomaly_limit,
            column.classifier_limit,
            reviews.c.label,
        )
        .select_from(inspections.outerjoin(reviews, told))
        .where(column.part == part)
        .order_by(column.time.desc(), column.id.desc())
        .limit(last)
    )
    rows = [tuple(row) for row in connection.execute(query)]
    chosen = version if version is not None else (rows[0][1] if rows else "")
    return _of_version(rows, chosen)


def _of_version(rows: list[tuple[Any, ...]], version: str) -> RecentScores:
    others: dict[str, int] = {}
    parts: list[Scored] = []
    limits: tuple[float | None, float | None] = (None, None)
    invalid = 0
    for inspection_id, judged_by, verdict, anomaly, probability, *own, label in rows:
        if judged_by != version:
            others[judged_by] = others.get(judged_by, 0) + 1
        elif verdict == INVALID or anomaly is None:
            invalid += 1
        else:
            limits = limits if parts else (own[0], own[1])
            defective = None if label is None else label != CLEAN
            parts.append(Scored(inspection_id, anomaly, probability, verdict != CLEAN, defective))
    return RecentScores(
        version=version,
        parts=tuple(parts),
        anomaly_limit=limits[0],
        classifier_limit=limits[1],
        invalid=invalid,
        others=others,
    )
