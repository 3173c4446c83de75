"""The scores of recent inspections of a part, as plain values."""

from dataclasses import dataclass
from typing import NamedTuple


class Scored(NamedTuple):
    """One inspection with a verdict.

    Attributes:
        defect_probability: None where the bundle has no classifier.
        rejected: whether the verdict that was given is a defect.
        defective: what an operator found it to be; None where nobody could tell, or looked.
    """

    id: str
    anomaly: float
    defect_probability: float | None
    rejected: bool
    defective: bool | None


@dataclass(frozen=True)
class RecentScores:
    """Inspections of one part by one version, the newest first.

    Attributes:
        version: of the bundle that judged them.
        anomaly_limit, classifier_limit: of the newest one; None without any, or without a classifier.
        invalid: how many more got no verdict.
        others: how many more there are of other versions, by version.
    """

    version: str
    parts: tuple[Scored, ...]
    anomaly_limit: float | None
    classifier_limit: float | None
    invalid: int
    others: dict[str, int]
