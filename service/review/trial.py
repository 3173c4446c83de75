"""Other limits, tried on recorded scores: what would the last parts have been?"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from models.intervals import Share, share
from service.archive.scored import RecentScores, Scored

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

    def fires(part: Scored) -> bool:
        likely = part.defect_probability
        return part.anomaly >= anomaly or (
            classifier is not None and likely is not None and likely >= classifier
        )

    to_defect = [part.id for part in seen.parts if not part.rejected and fires(part)]
    to_clean = [part.id for part in seen.parts if part.rejected and not fires(part)]
    return Trial(
        seen=seen,
        anomaly_then=seen.anomaly_limit,
        anomaly=anomaly,
        classifier=classifier,
        rejected_then=_share(part.rejected for part in seen.parts),
        rejected_now=_share(fires(part) for part in seen.parts),
        judged_then=_judged(seen, lambda part: part.rejected),
        judged_now=_judged(seen, fires),
        n_to_defect=len(to_defect),
        n_to_clean=len(to_clean),
        to_defect=tuple(to_defect[:_NAMED]),
        to_clean=tuple(to_clean[:_NAMED]),
    )


def _judged(seen: RecentScores, rejected: Callable[[Scored], bool]) -> Judged:
    return Judged(
        false_rejects=_share(rejected(part) for part in seen.parts if part.defective is False),
        escapes=_share(not rejected(part) for part in seen.parts if part.defective),
    )


def _share(holds: Iterable[bool]) -> Share:
    counted = list(holds)
    return share(sum(counted), len(counted))
