"""Other limits, tried on recorded scores: what would the last parts have been?"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.intervals import Share, share
from service.archive.scores import Flags, RecentScores

FEWEST, MOST = 100, 10_000
_NAMED = 50


@dataclass(frozen=True)
class Tried:
    """The limits that are tried; None leaves a rule as it is."""

    anomaly: float | None = None
    classifier: float | None = None


@dataclass(frozen=True)
class Judged:
    """Of the parts that operators judged: good ones rejected, and defects passed."""

    false_rejects: Share
    escapes: Share


@dataclass(frozen=True)
class Trial:
    """What became of the last parts, and what would have become of them.

    Attributes:
        seen: the scores that were looked at.
        anomaly_then: the limit that the bundle has.
        anomaly, classifier: the limits that were tried; no classifier without defect classes.
        rejected_then, rejected_now: shares of the parts with a verdict.
        judged_then, judged_now: the same parts, as far as operators judged them.
        n_to_defect, n_to_clean: how many verdicts turn each way.
        to_defect, to_clean: ids of the newest of them.
    """

    seen: RecentScores
    anomaly_then: float
    anomaly: float
    classifier: float | None
    rejected_then: Share
    rejected_now: Share
    judged_then: Judged
    judged_now: Judged
    n_to_defect: int
    n_to_clean: int
    to_defect: tuple[str, ...]
    to_clean: tuple[str, ...]


def try_limits(seen: RecentScores, tried: Tried) -> Trial | None:
    """Judge recorded scores by other limits; None where there are none to judge."""
    if seen.anomaly_limit is None:
        return None
    anomaly = seen.anomaly_limit if tried.anomaly is None else tried.anomaly
    classifier = seen.classifier_limit
    if classifier is not None and tried.classifier is not None:
        classifier = tried.classifier
    now: Flags = seen.anomaly >= anomaly
    if classifier is not None:
        # A comparison with what is no number is false.
        now = now | (seen.defect_probability >= classifier)
    to_defect, to_clean = ~seen.rejected & now, seen.rejected & ~now
    return Trial(
        seen=seen,
        anomaly_then=seen.anomaly_limit,
        anomaly=anomaly,
        classifier=classifier,
        rejected_then=_share(seen.rejected),
        rejected_now=_share(now),
        judged_then=_judged(seen, seen.rejected),
        judged_now=_judged(seen, now),
        n_to_defect=int(to_defect.sum()),
        n_to_clean=int(to_clean.sum()),
        to_defect=_ids(seen, to_defect),
        to_clean=_ids(seen, to_clean),
    )


def _judged(seen: RecentScores, rejected: Flags) -> Judged:
    good, bad = seen.judged & ~seen.defective, seen.judged & seen.defective
    return Judged(false_rejects=_share(rejected[good]), escapes=_share(~rejected[bad]))


def _share(flags: npt.NDArray[np.bool_]) -> Share:
    return share(int(flags.sum()), len(flags))


def _ids(seen: RecentScores, chosen: Flags) -> tuple[str, ...]:
    return tuple(seen.ids[index] for index in np.flatnonzero(chosen)[:_NAMED])
