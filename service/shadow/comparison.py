"""What a candidate said of photos beside what the active bundle said: one by one, and counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from models.intervals import Share, share
from service.verdicts import Kind, kind_of


@dataclass(frozen=True)
class ShadowVerdict:
    """What a candidate said of an inspection.

    Attributes:
        version: the candidate's.
        time: when it said so, UTC.
        score, anomaly_score, defect_probability: as in an inspection; None where there is none.
        active_version, active_verdict: of the bundle that served, and the verdict that was given.
    """

    inspection_id: str
    version: str
    time: datetime
    part: str
    verdict: str
    score: float | None
    anomaly_score: float | None
    defect_probability: float | None
    needs_review: bool
    active_version: str
    active_verdict: str

    @property
    def flipped(self) -> bool:
        """Whether the part would have gone another way: passed, rejected, or not inspected."""
        return kind_of(self.verdict) != kind_of(self.active_verdict)


@dataclass(frozen=True)
class Flip:
    """An inspection on which the two differ."""

    inspection_id: str
    time: datetime
    active_verdict: str
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """Photos that both have judged: how many, by the active bundle's verdict and the candidate's."""

    pairs: Mapping[tuple[str, str], int]

    @property
    def judged(self) -> int:
        """All of them."""
        return sum(self.pairs.values())

    @property
    def agreed(self) -> Share:
        """Those that would have gone the same way."""
        same = (n for (active, shadow), n in self.pairs.items() if kind_of(active) == kind_of(shadow))
        return share(sum(same), self.judged)

    @property
    def active_rejects(self) -> Share:
        """What the active bundle rejected."""
        return share(sum(n for (a, _), n in self.pairs.items() if kind_of(a) == "defect"), self.judged)

    @property
    def candidate_rejects(self) -> Share:
        """What the candidate would have rejected."""
        return share(sum(n for (_, c), n in self.pairs.items() if kind_of(c) == "defect"), self.judged)

    @property
    def flips(self) -> dict[tuple[Kind, Kind], int]:
        """Those that would have gone another way, the commonest first: from, to, and how many."""
        found: dict[tuple[Kind, Kind], int] = {}
        for (active, shadow), count in self.pairs.items():
            way = (kind_of(active), kind_of(shadow))
            if way[0] != way[1]:
                found[way] = found.get(way, 0) + count
        return dict(sorted(found.items(), key=lambda item: -item[1]))
