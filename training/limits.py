"""Choosing the limits from held-out photos.

A limit is a conformal quantile: with n held-out good photos, placing it just above the j-th smallest
score lets at most (n + 1 - j) / (n + 1) of future good parts reach it, whatever the distribution
(Vovk et al., Algorithmic Learning in a Random World, 2005; Angelopoulos & Bates, 2023, section 1).

It is then raised half-way to the next held-out score, at most by half of what fp16 may be off: raising a
limit only lowers the share of good parts that reach it, and a photo on which a limit rests is seldom turned
by the rounding of another graph. A wider margin would let more defects pass, and the promise needs none.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from models.decision import Limits, Typical
from models.manifest import HeatmapScale, LimitOrigin, LimitOrigins, RateInterval
from models.variants import SCORE_TOLERANCE
from training.metrics import auroc, rate_interval

# Below this a classifier's rank order is not worth much; PaDiM alone reaches it on most parts.
WEAK_CLASSIFIER = 0.8

# Scores that no log-normal distribution describes must not push the limit out of reach.
LARGEST_RAISE = 1.5

# How far, on the scale 0..1 of the score, a limit is moved at most from the photo on which it rests.
MARGIN = 0.5 * SCORE_TOLERANCE["fp16"]

# A good photo is named when, without it, this share of the held-out defects more would reach the limit.
WORTH_A_LOOK = 0.1

_NORMAL = NormalDist()

Scores = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class HeldOutScores:
    """What the two rules see on held-out photos: scores [N] each, and which photos are defective.

    `defect_probability` is None for a model without defect classes; `names` are the photos' names, if known,
    and `groups` what each belongs to: photos of one group are alike. Without, each stands alone.
    """

    anomaly: Scores
    defect_probability: Scores | None
    defective: Flags
    names: tuple[str, ...] = ()
    groups: tuple[Hashable, ...] = ()

    def claimed(self, fired: Flags, kind: Flags) -> RateInterval:
        """The share of the photos of a kind for which something fired, both bool [N], with its interval."""
        return rate_interval(int(fired[kind].sum()), int(kind.sum()), self.n_groups(kind))

    def n_groups(self, kind: Flags) -> int:
        """How many groups the photos of a kind, bool [N], are of."""
        rows = np.flatnonzero(kind).tolist()
        return len({self.groups[row] for row in rows}) if self.groups else len(rows)


@dataclass(frozen=True)
class ChosenLimits:
    """Limits, where they came from, and the scale of the heatmap that follows from them."""

    limits: Limits
    origins: LimitOrigins
    heatmap: HeatmapScale


def choose_limits(scores: HeldOutScores, max_false_rejects: float) -> ChosenLimits:
    """Choose both limits so that at most `max_false_rejects` of good parts are rejected.

    The budget is split evenly over the two rules (all of it goes to the anomaly rule when there
    is no classifier).
    """
    target = max_false_rejects if scores.defect_probability is None else max_false_rejects / 2
    support = _support(int((~scores.defective).sum()), target)
    anomaly, method = _anomaly_limit(scores.anomaly, scores.defective, target)
    decisive = _decisive_photo(scores, scores.anomaly, lambda s, d: _anomaly_limit(s, d, target)[0])
    anomaly_origin = origin_of(scores, scores.anomaly >= anomaly, method, target, [support, decisive])
    classifier, classifier_origin = None, None
    if scores.defect_probability is not None:
        seen = scores.defect_probability
        classifier, method = _classifier_limit(seen, scores.defective, target)
        decisive = _decisive_photo(scores, seen, lambda s, d: _classifier_limit(s, d, target)[0])
        notes = [support, _weakness(seen, scores.defective), decisive]
        classifier_origin = origin_of(scores, seen >= classifier, method, target, notes)
    return ChosenLimits(
        limits=Limits(
            classifier=classifier, anomaly=anomaly, typical=typical_of(scores), defect_score="backed"
        ),
        origins=LimitOrigins(classifier=classifier_origin, anomaly=anomaly_origin),
        heatmap=heatmap_scale(scores.anomaly[scores.defective], anomaly),
    )


def typical_of(scores: HeldOutScores) -> Typical:
    """What the good ones of the photos are typically given."""
    p = scores.defect_probability
    return Typical(
        anomaly=float(np.median(scores.anomaly[~scores.defective])),
        classifier=None if p is None else float(np.median(p[~scores.defective]).clip(0.0, 1.0)),
    )


def heatmap_scale(defective: Scores, limit: float) -> HeatmapScale:
    """Colour from just below the limit to where most of the caught defects end, so that they stand out."""
    caught = defective[defective >= limit]
    top = float(np.percentile(caught, 75)) if len(caught) else 1.5 * limit
    return HeatmapScale(start=0.95 * limit, limit=limit, top=max(1.2 * limit, top))


def _anomaly_limit(scores: Scores, defective: Flags, target: float) -> tuple[float, str]:
    """The conformal quantile; where the photos are too few for it, no lower than a log-normal tail.

    The largest of few good scores is drawn too tightly round them, so it is raised to where the
    normal distribution of their logarithms reaches the target, but past no defect that it catches.
    """
    good, bad = scores[~defective], scores[defective]
    quantile = conformal_quantile(good, target)
    limit, method = with_margin(quantile, scores), "conformal"
    if 1.0 / (len(good) + 1) > target and len(good) > 1:
        logs = np.log(np.maximum(good, 1e-9))
        tail = float(np.exp(logs.mean() - _NORMAL.inv_cdf(target) * logs.std(ddof=1)))
        tail = min(tail, LARGEST_RAISE * float(good.max()))
        above = bad[bad >= quantile]
        if len(above):
            tail = min(tail, math.sqrt(quantile * float(above.min())))
        if tail > limit:
            limit, method = tail, "log-normal tail of the good scores"
    return limit, method


def _classifier_limit(scores: Scores, defective: Flags, target: float) -> tuple[float, str]:
    """The conformal quantile, moved to the middle (in logits) of the gap that separates it from the defects.

    Probabilities crowd at 0 and 1, so that the quantile alone may lie at 0.001; every held-out
    defect that the quantile catches is still caught.
    """
    good, bad = scores[~defective], scores[defective]
    limit = min(1.0, conformal_quantile(good, target))
    method = "conformal"
    above = bad[bad >= limit]
    if len(above):
        middle = _expit(0.5 * (_logit(limit) + _logit(float(above.min()))))
        if middle > limit:
            limit, method = middle, "conformal, moved towards the defects"
    else:
        # On the straight scale of this rule that gives 0.5 - MARGIN. No held-out defect is lost.
        following = min((float(p) for p in good if p >= limit), default=1.0)
        limit = max(limit, min(limit / (1.0 - 2.0 * MARGIN), 0.5 * (following + limit)))
    return limit, method


def _weakness(scores: Scores, defective: Flags) -> str:
    """That a classifier's scores are not worth much; empty where they are."""
    ranked = auroc(scores.tolist(), defective.tolist())
    if ranked is None or ranked >= WEAK_CLASSIFIER:
        return ""
    return (
        f"The classifier hardly tells held-out defects from good parts (AUROC {ranked:.2f}): it needs "
        "photos of more defects, or a better trunk; do not count on it."
    )


def _decisive_photo(scores: HeldOutScores, seen: Scores, limit_of: Callable[[Scores, Flags], float]) -> str:
    """Name the one good photo that holds a limit above many defects; empty where there is none.

    It is for a person to look at: leaving out what is inconvenient would void what the limit promises.
    """
    good, bad = np.flatnonzero(~scores.defective), seen[scores.defective]
    if not scores.names or len(good) < 2 or not len(bad):
        return ""
    highest = int(good[np.argmax(seen[good])])
    rest = np.arange(len(seen)) != highest
    below = int((bad < limit_of(seen, scores.defective)).sum())
    below_without = int((bad < limit_of(seen[rest], scores.defective[rest])).sum())
    if below - below_without < max(2, WORTH_A_LOOK * len(bad)):
        return ""
    return (
        f"One good photo sets this limit: {scores.names[highest]}. With it {below} of {len(bad)} held-out "
        f"defects stay below the limit, without it {below_without}. Look at it: if it shows a defect, put it "
        "among the defects and train again."
    )


def origin_of(
    scores: HeldOutScores,
    fired: Flags,
    method: str,
    target: float,
    notes: Sequence[str],
    max_escapes: float | None = None,
) -> LimitOrigin:
    """Where a limit came from; it rejects the photos for which it `fired`, bool [N]."""
    good = ~scores.defective
    n_good, groups = int(good.sum()), scores.n_groups(good)
    return LimitOrigin(
        method=method,
        target=target,
        supported=1.0 / (n_good + 1),
        n_good=n_good,
        n_defective=int(scores.defective.sum()),
        n_groups=groups,
        false_rejects=scores.claimed(fired, good),
        note=" ".join(note for note in (*notes, _few_groups(n_good, groups)) if note),
        max_escapes=max_escapes,
    )


def _few_groups(photos: int, groups: int) -> str:
    """In plain words what it means that photos are alike; empty where most stand alone."""
    if groups > 0.5 * photos:
        return ""
    return (
        f"The {photos} held-out good photos are of {groups} groups, and photos of a group tend to be "
        f"rejected together: the interval counts {groups}. Photos of more groups narrow it."
    )


def conformal_quantile(good: Scores, target: float) -> float:
    """The smallest limit that at most `target` of future good parts reach; at most just above the largest."""
    # Without the rounding of 600 * 0.81, which is 486.00000000000006.
    rank = min(len(good), math.ceil((len(good) + 1) * (1.0 - target) - 1e-9))
    # Scores come from float32, so its next number is the smallest limit above one.
    return float(np.nextafter(np.float32(np.sort(good)[rank - 1]), np.float32(np.inf)))


def with_margin(limit: float, held_out: Scores, margin: float = MARGIN) -> float:
    """Raise an anomaly limit half-way (in logarithms) to the next held-out score, good or not.

    A score directly below `limit` gets 0.5 - `margin` at least.
    """
    above = held_out[held_out >= limit]
    following = float(above.min()) if len(above) else math.inf
    largest = limit * (0.5 + margin) / (0.5 - margin)
    return max(limit, min(math.sqrt(limit) * math.sqrt(following), largest, following))


def _support(n_good: int, target: float) -> str:
    """What so many held-out good photos can support; empty when it is enough."""
    supported = 1.0 / (n_good + 1)
    if supported <= target:
        return ""
    return (
        f"{n_good} held-out good photos support {supported:.1%} false rejects at best; "
        f"to prove {target:.2%}, hold out {math.ceil(1.0 / target) - 1}."
    )


def _logit(probability: float) -> float:
    inside = min(1.0 - 1e-6, max(1e-6, probability))
    return math.log(inside / (1.0 - inside))


def _expit(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))


def held_out_scores(
    anomaly: Sequence[float],
    defect_probability: Sequence[float] | None,
    defective: Sequence[bool],
    names: Sequence[str] = (),
    groups: Sequence[Hashable] = (),
) -> HeldOutScores:
    """Gather the scores of held-out photos, one entry a photo."""
    probabilities = None if defect_probability is None else np.asarray(defect_probability, dtype=np.float64)
    return HeldOutScores(
        anomaly=np.asarray(anomaly, dtype=np.float64),
        defect_probability=probabilities,
        defective=np.asarray(defective, dtype=bool),
        names=tuple(names),
        groups=tuple(groups),
    )
