"""Limits for what an engineer asks: at most so many false rejects, at most so many escapes, or both.

For escapes, both limits move together along the larger opinion by reference limits that good photos alone
set. The share of future defects below the k-th smallest of m held-out ones is at most k / (m + 1) then, the
conformal quantile of `training.limits` from the other side.
"""

import math
from dataclasses import dataclass

import numpy as np

from models.decision import Limits, anomaly_opinion, classifier_opinion, typical_part
from models.errors import UsageError
from models.manifest import LimitOrigins, RateInterval
from training.limits import (
    MARGIN,
    ChosenLimits,
    Flags,
    HeldOutScores,
    Scores,
    choose_limits,
    heatmap_scale,
    origin_of,
    typical_of,
)

BY_HAND = "set by hand"
BY_ESCAPES = "conformal, for escapes"

# The reference that escapes are measured along: its classifier fires where a defect is the likelier.
_REFERENCE_FALSE_REJECTS = 0.01
_REFERENCE_CLASSIFIER = 0.5
_NO_TARGET = ("No target is given.", "Use --max-false-rejects, --max-escapes, or both.")


@dataclass(frozen=True)
class Targets:
    """What is asked for; None does not ask. Both shares are of what the two rules do together.

    Raises:
        UsageError: when nothing is asked for.
    """

    max_false_rejects: float | None = 0.01
    max_escapes: float | None = None

    def __post_init__(self) -> None:
        if self.max_false_rejects is None and self.max_escapes is None:
            raise UsageError(*_NO_TARGET)


@dataclass(frozen=True)
class Outcome:
    """What limits do to held-out photos.

    Attributes:
        rejected, passed: good photos that are rejected and defective ones that are passed.
        false_rejects, escapes: the same as shares with intervals, in which photos of a group count once; None
            without such photos.
        expected_false_rejects, expected_escapes: the share of future parts to expect at most (conformal).
    """

    rejected: int
    n_good: int
    passed: int
    n_defective: int
    false_rejects: RateInterval | None
    escapes: RateInterval | None

    @property
    def expected_false_rejects(self) -> float:
        return (self.rejected + 1) / (self.n_good + 1)

    @property
    def expected_escapes(self) -> float:
        return (self.passed + 1) / (self.n_defective + 1)


def outcome_of(scores: HeldOutScores, limits: Limits) -> Outcome:
    """Count what limits do."""
    rejected = _rejected(scores, limits)
    good, bad = ~scores.defective, scores.defective
    return Outcome(
        rejected=int(rejected[good].sum()),
        n_good=int(good.sum()),
        passed=int((~rejected[bad]).sum()),
        n_defective=int(bad.sum()),
        false_rejects=scores.claimed(rejected, good) if good.any() else None,
        escapes=scores.claimed(~rejected, bad) if bad.any() else None,
    )


def choose_for(scores: HeldOutScores, targets: Targets) -> ChosenLimits:
    """Choose both limits for what is asked.

    Where both targets are given and cannot be met together, the limits are those for false rejects, and
    their origins say so.

    Raises:
        UsageError: when escapes are limited and no held-out photo shows a defect.
    """
    if targets.max_escapes is None and targets.max_false_rejects is not None:
        return choose_limits(scores, targets.max_false_rejects)
    if targets.max_escapes is None:
        raise UsageError(*_NO_TARGET)
    check_askable(targets, int(scores.defective.sum()))
    if targets.max_false_rejects is None:
        return _for_escapes(scores, targets.max_escapes)
    by_good = _asked_for(choose_limits(scores, targets.max_false_rejects), targets.max_escapes)
    if meets(scores, by_good.limits, targets):
        return _noted(by_good, support_of_escapes(int(scores.defective.sum()), targets.max_escapes))
    by_bad = _for_escapes(scores, targets.max_escapes)
    if meets(scores, by_bad.limits, targets):
        return by_bad
    return _noted(by_good, cannot_be_met(scores, targets))


def check_askable(targets: Targets, n_defective: int) -> None:
    """Refuse a target for escapes without a held-out photo of a defect.

    Raises:
        UsageError: saying what to do.
    """
    if targets.max_escapes is not None and not n_defective:
        raise UsageError(
            "There is no held-out photo of a defect, so nothing is known of escapes.",
            "Add photos of defects, or ask for --max-false-rejects alone.",
        )


def asked_false_rejects(origins: LimitOrigins) -> float | None:
    """The share of good parts that both rules may reject together; None where nothing was asked of it."""
    rules = [origin for origin in (origins.classifier, origins.anomaly) if origin is not None]
    if any(origin.method in (BY_HAND, BY_ESCAPES) for origin in rules):
        return None
    return sum(origin.target for origin in rules)


def set_by_hand(scores: HeldOutScores, limits: Limits) -> ChosenLimits:
    """Limits that somebody chose, with what the held-out photos say of them."""
    fused = limits.model_copy(update={"typical": typical_of(scores), "defect_score": "backed"})
    return _with_origins(scores, fused, BY_HAND, None)


def meets(scores: HeldOutScores, limits: Limits, targets: Targets) -> bool:
    """Whether limits keep what is asked, as far as so many held-out photos can tell."""
    found = outcome_of(scores, limits)
    asked = (
        (targets.max_false_rejects, found.expected_false_rejects, found.n_good),
        (targets.max_escapes, found.expected_escapes, found.n_defective),
    )
    return all(target is None or share <= max(target, 1.0 / (n + 1)) for target, share, n in asked)


def cannot_be_met(scores: HeldOutScores, targets: Targets) -> str:
    """In plain words: what each target alone costs of the other; empty unless both are asked in vain.

    Raises:
        UsageError: see `choose_for`.
    """
    if targets.max_false_rejects is None or targets.max_escapes is None:
        return ""
    by_good = choose_limits(scores, targets.max_false_rejects).limits
    by_bad = _for_escapes(scores, targets.max_escapes).limits
    if meets(scores, by_good, targets) or meets(scores, by_bad, targets):
        return ""
    passed, rejected = outcome_of(scores, by_good), outcome_of(scores, by_bad)
    return (
        f"Both targets cannot be met together on these photos. With at most {targets.max_false_rejects:.2%} "
        f"false rejects, {passed.passed} of {passed.n_defective} held-out defects are passed; with at most "
        f"{targets.max_escapes:.2%} escapes, {rejected.rejected} of {rejected.n_good} held-out good photos "
        "are rejected."
    )


def support_of_escapes(n_defective: int, max_escapes: float) -> str:
    """What so many held-out defects can support; empty when it is enough."""
    if 1.0 / (n_defective + 1) <= max_escapes:
        return ""
    return (
        f"{n_defective} held-out defects support {1.0 / (n_defective + 1):.1%} escapes at best; to prove "
        f"{max_escapes:.2%}, hold out {math.ceil(1.0 / max_escapes - 1e-9) - 1}."
    )


def _for_escapes(scores: HeldOutScores, max_escapes: float) -> ChosenLimits:
    """The largest limits that at most `max_escapes` of future defects stay below."""
    reference = _reference(scores)
    levels = _levels(scores, reference)
    bad = np.sort(levels[scores.defective])
    rank = max(1, math.floor((len(bad) + 1) * max_escapes + 1e-9))
    level = _with_margin(float(bad[min(rank, len(bad)) - 1]), levels)
    return _with_origins(scores, limits_at(level, reference), BY_ESCAPES, max_escapes)


def _reference(scores: HeldOutScores) -> Limits:
    good = ~scores.defective
    p = scores.defect_probability
    only_good = HeldOutScores(scores.anomaly[good], None if p is None else p[good], scores.defective[good])
    limits = choose_limits(only_good, _REFERENCE_FALSE_REJECTS).limits
    if limits.classifier is None:
        return limits
    return limits.model_copy(update={"classifier": max(_REFERENCE_CLASSIFIER, limits.classifier)})


def _levels(scores: HeldOutScores, reference: Limits) -> Scores:
    """The larger opinion by the reference limits [N]."""
    anomaly = np.array([anomaly_opinion(score, reference.anomaly) for score in scores.anomaly])
    if scores.defect_probability is None or reference.classifier is None:
        return anomaly
    limit, typical = reference.classifier, typical_part(reference)
    seen = scores.defect_probability.clip(0.0, 1.0)
    return np.asarray(
        np.maximum(anomaly, [classifier_opinion(p, limit, typical) for p in seen]), dtype=np.float64
    )


def limits_at(level: float, reference: Limits) -> Limits:
    """The limits at which each rule fires exactly when its opinion by `reference` reaches `level`, 0..1."""
    anomaly = reference.anomaly * level / (1.0 - level)
    classifier = reference.classifier
    if classifier is not None:
        start, opinion = typical_part(reference)
        if level >= 0.5:
            classifier += (2.0 * level - 1.0) * (1.0 - classifier)
        elif level >= opinion:
            classifier = start + (level - opinion) / (0.5 - opinion) * (classifier - start)
        else:
            classifier = start * level / opinion
    return reference.model_copy(update={"anomaly": anomaly, "classifier": classifier})


def _with_margin(level: float, held_out: Scores) -> float:
    """Half-way down to the next held-out score, by `MARGIN` at most."""
    below = held_out[held_out < level]
    following = float(below.max()) if len(below) else 0.0
    return min(1.0 - 1e-6, max(0.5 * (level + following), level - MARGIN, 1e-6))


def _with_origins(
    scores: HeldOutScores, limits: Limits, method: str, max_escapes: float | None
) -> ChosenLimits:
    note = "" if max_escapes is None else support_of_escapes(int(scores.defective.sum()), max_escapes)
    fired = [scores.anomaly >= limits.anomaly]
    if limits.classifier is not None and scores.defect_probability is not None:
        fired.append(scores.defect_probability >= limits.classifier)
    n_good = int((~scores.defective).sum())
    anomaly, *classifier = [
        origin_of(
            scores,
            each,
            method,
            # What is to be expected of good parts, since none was asked for.
            target=(int(each[~scores.defective].sum()) + 1) / (n_good + 1),
            notes=[note],
            max_escapes=max_escapes,
        )
        for each in fired
    ]
    return ChosenLimits(
        limits=limits,
        origins=LimitOrigins(classifier=classifier[0] if classifier else None, anomaly=anomaly),
        heatmap=heatmap_scale(scores.anomaly[scores.defective], limits.anomaly),
    )


def _rejected(scores: HeldOutScores, limits: Limits) -> Flags:
    rejected: Flags = scores.anomaly >= limits.anomaly
    if limits.classifier is not None and scores.defect_probability is not None:
        rejected = rejected | (scores.defect_probability >= limits.classifier)
    return rejected


def _asked_for(chosen: ChosenLimits, max_escapes: float) -> ChosenLimits:
    changed = {"max_escapes": max_escapes}
    origins = chosen.origins
    return ChosenLimits(
        chosen.limits,
        LimitOrigins(
            classifier=origins.classifier and origins.classifier.model_copy(update=changed),
            anomaly=origins.anomaly.model_copy(update=changed),
        ),
        chosen.heatmap,
    )


def _noted(chosen: ChosenLimits, note: str) -> ChosenLimits:
    if not note:
        return chosen
    anomaly = chosen.origins.anomaly
    noted = anomaly.model_copy(update={"note": f"{anomaly.note} {note}".strip()})
    origins = chosen.origins.model_copy(update={"anomaly": noted})
    return ChosenLimits(chosen.limits, origins, chosen.heatmap)
