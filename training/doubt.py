"""How much limits hang on which photos happened to be held out: the bootstrap.

The photos are drawn again and again from themselves, good and defective ones each, and the limits chosen anew
(the percentile interval of Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). Photos
of a group are drawn together (Davison and Hinkley, Bootstrap Methods and their Application, 1997, section
3.8): from a new place of the camera, all of them would be others. Most of these limits lie in a range; a
verdict that hangs on where in it is in doubt.

Where a limit lies just above the largest good score, no draw has a larger one: the range says how far down
the limit could be, and little of how far up (Bickel and Freedman, Annals of Statistics 9, 1981). Down lie
the defects that would pass in silence.
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from models.decision import Doubt, Limits, straight
from models.variants import SCORE_TOLERANCE
from training.limits import ChosenLimits, Flags, HeldOutScores
from training.targets import Targets, choose_for, limits_at

DRAWS = 200
# The range holds this share of the draws.
LIKELY = 0.8
# How far the score of an int8 or fp16 graph may be from that of fp32.
_ROUNDING = max(SCORE_TOLERANCE.values())

Rows = npt.NDArray[np.integer[Any]]


def choose_with_doubt(scores: HeldOutScores, targets: Targets) -> ChosenLimits:
    """`choose_for`, and in the limits the range in which they would lie with other held-out photos.

    A range always holds its limit, and is never narrower than what another graph of the bundle may be off,
    nor than photos that were drawn one by one would make it.
    The same photos give the same range.

    Raises:
        UsageError: see `choose_for`.
    """
    chosen = choose_for(scores, targets)
    generator = np.random.default_rng(0)
    kinds = (~scores.defective, scores.defective)
    ways = [[_by_group(scores, kind) for kind in kinds]]
    if any(len(groups) < kind.sum() for groups, kind in zip(ways[0], kinds, strict=True)):
        # One group alone is always drawn, and seems to leave no doubt; its photos leave some.
        ways.append([[np.array([row]) for row in np.flatnonzero(kind)] for kind in kinds])
    drawn = [
        [choose_for(_draw(scores, way, generator), targets).limits for _ in range(DRAWS)] for way in ways
    ]
    doubt = _doubt(chosen.limits, drawn)
    return replace(chosen, limits=chosen.limits.model_copy(update={"doubt": doubt}))


def _by_group(scores: HeldOutScores, kind: Flags) -> list[Rows]:
    """The rows of the photos of a kind, bool [N], those of each group together."""
    groups: dict[Hashable, list[int]] = {}
    for row in np.flatnonzero(kind).tolist():
        groups.setdefault(scores.groups[row] if scores.groups else row, []).append(row)
    return [np.array(rows) for rows in groups.values()]


def _draw(
    scores: HeldOutScores, kinds: Sequence[Sequence[Rows]], generator: np.random.Generator
) -> HeldOutScores:
    """As many groups of each kind as there are, drawn with replacement."""
    drawn = [groups[n] for groups in kinds if groups for n in generator.choice(len(groups), len(groups))]
    rows = np.concatenate(drawn)
    p = scores.defect_probability
    return HeldOutScores(scores.anomaly[rows], None if p is None else p[rows], scores.defective[rows])


def _doubt(limits: Limits, drawn: Sequence[Sequence[Limits]]) -> Doubt:
    """The ranges that hold what each way of drawing gives."""
    # On the straight scale of each rule: what a graph is off has nothing to do with what good parts score.
    own = straight(limits)
    around = [limits, limits_at(0.5 - _ROUNDING, own), limits_at(0.5 + _ROUNDING, own)]
    classifier = None
    if limits.classifier is not None:
        classifier = _range(
            [[each.classifier for each in way if each.classifier is not None] for way in drawn],
            [each.classifier for each in around if each.classifier is not None],
        )
    return Doubt(
        classifier=classifier,
        anomaly=_range([[each.anomaly for each in way] for way in drawn], [each.anomaly for each in around]),
    )


def _range(drawn: Sequence[Sequence[float]], around: Sequence[float]) -> tuple[float, float]:
    ends = [np.quantile(way, [0.5 - 0.5 * LIKELY, 0.5 + 0.5 * LIKELY]).tolist() for way in drawn]
    return min(*around, *(low for low, _ in ends)), max(*around, *(high for _, high in ends))
