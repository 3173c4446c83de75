"""The scores of the newest inspections of a part, in columns, for what other limits would have done."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, and_, select

from models.decision import CLEAN, INVALID
from service.archive.candidates import JUDGED
from service.archive.tables import inspections, reviews

Values = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RecentScores:
    """Inspections of one part by one version, the newest first: N in all columns.

    Attributes:
        version: of the bundle that judged them.
        ids: of the inspections.
        anomaly: anomaly scores.
        defect_probability: NaN where the bundle has no classifier.
        rejected: whether the verdict that was given is a defect.
        judged, defective: whether an operator could tell what the part is, and whether it is a defect.
        anomaly_limit, classifier_limit: of the newest one; None without any, or without a classifier.
        invalid: how many more got no verdict.
        others: how many more there are of other versions, by version.
    """

    version: str
    ids: tuple[str, ...]
    anomaly: Values
    defect_probability: Values
    rejected: Flags
    judged: Flags
    defective: Flags
    anomaly_limit: float | None
    classifier_limit: float | None
    invalid: int
    others: dict[str, int]


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
    return _columns(rows, chosen)


def _columns(rows: list[tuple[Any, ...]], version: str) -> RecentScores:
    others: dict[str, int] = {}
    own, invalid = [], 0
    for row in rows:
        if row[1] != version:
            others[row[1]] = others.get(row[1], 0) + 1
        elif row[2] == INVALID or row[3] is None:
            invalid += 1
        else:
            own.append(row)
    labels = [row[7] for row in own]
    return RecentScores(
        version=version,
        ids=tuple(row[0] for row in own),
        anomaly=np.array([row[3] for row in own], dtype=np.float64),
        defect_probability=np.array([np.nan if row[4] is None else row[4] for row in own], dtype=np.float64),
        rejected=np.array([row[2] != CLEAN for row in own], dtype=bool),
        judged=np.array([label is not None for label in labels], dtype=bool),
        defective=np.array([label not in (None, CLEAN) for label in labels], dtype=bool),
        anomaly_limit=own[0][5] if own else None,
        classifier_limit=own[0][6] if own else None,
        invalid=invalid,
        others=others,
    )
