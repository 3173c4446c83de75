"""What came of inspecting a part more than once."""

import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from models.answer import Inspection
from models.decision import CLEAN, INVALID
from training.data.samples import Sample
from training.gauge.disturbances import Kind

# What the line does with the part. A part without a verdict is stopped, but nothing was found on it.
Outcome = Literal["passed", "rejected", "no verdict"]
OUTCOMES: tuple[Outcome, ...] = ("passed", "rejected", "no verdict")
Way = Kind | Literal["presented"]

LIMIT = 0.5
# A part within so many standard deviations of the limit can be expected to turn now and then.
_NEAR = 3.0


@dataclass(frozen=True)
class Trial:
    """One inspection: the verdict, the score 0..1 (None without a verdict), whether a person should look."""

    verdict: str
    score: float | None
    needs_review: bool = False

    @classmethod
    def of(cls, answer: Inspection) -> "Trial":
        """What an answer says."""
        return cls(answer.verdict, answer.score, answer.needs_review)

    @property
    def outcome(self) -> Outcome:
        """What the line does with the part."""
        if self.verdict == INVALID:
            return "no verdict"
        return "passed" if self.verdict == CLEAN else "rejected"


@dataclass(frozen=True)
class Part:
    """A part that was inspected several times.

    Attributes:
        name: of its photo, or of the group of its photos.
        label: `clean`, or the name of a defect class.
        reference: the inspection that the repeats are held to: of the photo as it is; of a part that was
            presented again, one with its most frequent outcome.
        trials: the repeats, by what was different about them.
        samples: the photo, or the photos of a part that was presented again, in the order of its trials.
    """

    name: str
    label: str
    reference: Trial
    trials: Mapping[Way, tuple[Trial, ...]]
    samples: tuple[Sample, ...]

    @property
    def defective(self) -> bool:
        return self.label != CLEAN

    @property
    def right(self) -> Outcome:
        """The outcome that its label asks for."""
        return "rejected" if self.defective else "passed"

    def flips(self, way: Way) -> list[Trial]:
        """The repeats with another outcome than the reference has."""
        return [trial for trial in self.trials[way] if trial.outcome != self.reference.outcome]

    def renamed(self, way: Way) -> int:
        """Repeats in which it was rejected as in the reference, but under another name."""
        return sum(
            trial.outcome == self.reference.outcome and trial.verdict != self.reference.verdict
            for trial in self.trials[way]
        )

    def counts(self, way: Way) -> list[int]:
        """How many repeats had each of `OUTCOMES`."""
        found = Counter(trial.outcome for trial in self.trials[way])
        return [found[outcome] for outcome in OUTCOMES]

    def scores(self, way: Way) -> list[float]:
        """The scores of the repeats that have one."""
        return [trial.score for trial in self.trials[way] if trial.score is not None]

    def deviation(self, way: Way) -> float | None:
        """Standard deviation of the score; None with fewer than two scores."""
        scores = self.scores(way)
        return statistics.stdev(scores) if len(scores) > 1 else None

    def share_of_distance(self, way: Way) -> float | None:
        """That deviation as a share of the mean score's distance to the limit; None where there is none."""
        deviation = self.deviation(way)
        if deviation is None:
            return None
        distance = abs(statistics.fmean(self.scores(way)) - LIMIT)
        return deviation / distance if distance else None

    def near(self, way: Way) -> bool:
        """Whether the limit is within three standard deviations of the mean score."""
        deviation = self.deviation(way)
        if not deviation:
            return False
        return abs(statistics.fmean(self.scores(way)) - LIMIT) < _NEAR * deviation
