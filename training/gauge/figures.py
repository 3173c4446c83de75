"""The figures of an attribute agreement analysis, as a plant's quality engineer knows them.

After AIAG, Measurement Systems Analysis, 4th edition (2010), chapter III, section C. A repeat without a
verdict is an outcome of its own: on a good part it is a false alarm, since the line stops the part; on a
defective one it is no miss, but not right either.
"""

import math
import statistics
from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from models.intervals import Share, share
from training.gauge.kappa import cohens_kappa, fleiss_kappa
from training.gauge.trials import OUTCOMES, Outcome, Part, Way


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True)


class Spread(_Figures):
    """How far the score, 0..1 with the limit at 0.5, moves between repeats of one part."""

    deviation: float | None = Field(description="Root mean square of the parts' standard deviations.")
    largest: float | None = Field(description="The largest of them.")
    of_distance: float | None = Field(
        description="Median over the parts: the standard deviation over the distance to the limit."
    )
    n_near: int = Field(description="Parts with the limit within three of their standard deviations.")


class Standard(_Figures):
    """How the repeats agree with the labels."""

    kappa: float | None = Field(
        description="Cohen's, over all repeats; null unless there are both good and defective parts."
    )
    effectiveness: Share = Field(description="Parts that are right in all repeats.")
    misses: int = Field(description="Repeats of defective parts that were passed.")
    n_defective: int = Field(description="Repeats of defective parts.")
    false_alarms: int = Field(description="Repeats of good parts that were not passed.")
    n_good: int = Field(description="Repeats of good parts.")
    miss_rate: float | None = Field(description="Misses over repeats of defective parts; null without any.")
    false_alarm_rate: float | None = Field(
        description="False alarms over repeats of good parts; null without any."
    )


class WayFigures(_Figures):
    """What one kind of disturbance did, or all together; or what presenting parts again did."""

    way: Way
    kept: Share = Field(description="Parts with one outcome in all repeats, the reference among them.")
    n_trials: int
    flips: dict[Outcome, int] = Field(
        description="Repeats with another outcome than the reference, by what it was."
    )
    n_marked: int = Field(
        description="Of the parts that flip, those whose reference says that a person should look."
    )
    renamed: int = Field(description="Repeats rejected as in the reference, but under another name.")
    n_invalid: int = Field(description="Repeats without a verdict, such as outside the quality gate.")
    kappa: float | None = Field(
        description="Fleiss', between repeats; null where one outcome is all there is."
    )
    standard: Standard
    spread: Spread

    @property
    def n_flips(self) -> int:
        return sum(self.flips.values())


class Flipping(_Figures):
    """A part whose outcome did not hold, and what one kind of disturbance did to it."""

    part: str
    label: str
    way: Way
    verdict: str = Field(description="Of the photo as it is; of a part presented again, the most frequent.")
    score: float | None
    flips: int
    n_trials: int
    verdicts: dict[str, int] = Field(description="Of the repeats, by how often.")
    lowest: float | None = Field(description="Score of the repeats, null where none has one.")
    highest: float | None


def way_figures(parts: Sequence[Part], way: Way) -> WayFigures:
    """The figures of one way of repeating."""
    flips = Counter(trial.outcome for part in parts for trial in part.flips(way))
    counts = [part.counts(way) for part in parts]
    return WayFigures(
        way=way,
        kept=share(sum(not part.flips(way) for part in parts), len(parts)),
        n_trials=sum(map(sum, counts)),
        flips={outcome: flips[outcome] for outcome in OUTCOMES},
        n_marked=sum(part.reference.needs_review and bool(part.flips(way)) for part in parts),
        renamed=sum(part.renamed(way) for part in parts),
        n_invalid=sum(row[OUTCOMES.index("no verdict")] for row in counts),
        kappa=fleiss_kappa(counts),
        standard=_standard(parts, way),
        spread=_spread(parts, way),
    )


def flipping(parts: Sequence[Part], ways: Sequence[Way]) -> list[Flipping]:
    """The parts that flip, those that do it most often first, a row for each way that turns them."""
    turning = [(sum(len(part.flips(way)) for way in ways), part) for part in parts]
    ordered = sorted((each for each in turning if each[0]), key=lambda each: (-each[0], each[1].name))
    return [_flipping(part, way) for _, part in ordered for way in ways if part.flips(way)]


def _flipping(part: Part, way: Way) -> Flipping:
    scores = part.scores(way)
    return Flipping(
        part=part.name,
        label=part.label,
        way=way,
        verdict=part.reference.verdict,
        score=part.reference.score,
        flips=len(part.flips(way)),
        n_trials=len(part.trials[way]),
        verdicts=dict(Counter(trial.verdict for trial in part.trials[way]).most_common()),
        lowest=min(scores, default=None),
        highest=max(scores, default=None),
    )


def _standard(parts: Sequence[Part], way: Way) -> Standard:
    # Rows are what the labels ask for, columns what the repeats came to.
    table = [
        [sum(part.counts(way)[column] for part in parts if part.right == row) for column in range(3)]
        for row in OUTCOMES
    ]
    good, defective, _ = table
    right = sum(part.counts(way)[OUTCOMES.index(part.right)] == len(part.trials[way]) for part in parts)
    passed = OUTCOMES.index("passed")
    misses, false_alarms = defective[passed], sum(good) - good[passed]
    return Standard(
        # Against labels of one kind, kappa is nought however well they agree.
        kappa=cohens_kappa(table) if sum(good) and sum(defective) else None,
        effectiveness=share(right, len(parts)),
        misses=misses,
        n_defective=sum(defective),
        false_alarms=false_alarms,
        n_good=sum(good),
        miss_rate=misses / sum(defective) if sum(defective) else None,
        false_alarm_rate=false_alarms / sum(good) if sum(good) else None,
    )


def _spread(parts: Sequence[Part], way: Way) -> Spread:
    deviations = [each for part in parts if (each := part.deviation(way)) is not None]
    shares = [each for part in parts if (each := part.share_of_distance(way)) is not None]
    mean_square = statistics.fmean([each**2 for each in deviations]) if deviations else None
    return Spread(
        deviation=None if mean_square is None else math.sqrt(mean_square),
        largest=max(deviations, default=None),
        of_distance=statistics.median(shares) if shares else None,
        n_near=sum(part.near(way) for part in parts),
    )
