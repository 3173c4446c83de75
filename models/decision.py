"""The decision rule: one pure function for calibration, evaluation and the service.

`p_defect >= classifier limit` gives the defect class; else `anomaly score >= anomaly limit` gives
`anomalous`; else `clean`. Ties count as defects. Anything that is not a finite number is `invalid`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

CLEAN = "clean"
ANOMALOUS = "anomalous"
INVALID = "invalid"
RESERVED_CLASSES = frozenset({CLEAN, ANOMALOUS, INVALID})

Rule = Literal["classifier", "anomaly"]
DefectScore = Literal["larger", "backed"]

_SMALLEST = 1e-9
_JUST_BELOW_HALF = math.nextafter(0.5, 0.0)


# Why a person should look at a verdict: by the ranges of the limits, or where those are not known.
IN_DOUBT = "other limits that are as likely would turn the verdict"
NEAR_LIMIT = "the score is near the limit"

_Probability = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
_Score = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


class Doubt(BaseModel):
    """Between which values, low to high, limits lie that are about as likely as the chosen ones.

    Attributes:
        classifier: of the defect probability, 0..1; None where the classifier never fires.
        anomaly: of the anomaly score, >= 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    classifier: tuple[_Probability, _Probability] | None = None
    anomaly: tuple[_Score, _Score]


class Typical(BaseModel):
    """What a typical good part is given: medians over held-out good photos.

    Attributes:
        classifier: defect probability, 0..1; None where the classifier never fires.
        anomaly: anomaly score, >= 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    classifier: _Probability | None = None
    anomaly: _Score


class Limits(BaseModel):
    """Where each rule fires.

    Attributes:
        classifier: smallest defect probability (1 - p_clean) that counts as a defect, 0..1;
            None for a model without defect classes, whose classifier never fires.
        anomaly: smallest anomaly score that counts as a defect, > 0, unbounded.
        typical: what puts both opinions on one scale; None if it is not known.
        doubt: a verdict that hangs on where in there the limits lie is one for a person to look at; None
            if it is not known, and `review_band` tells instead.
        defect_score: the `larger` opinion, as in bundles from before, or that one `backed` by the other.
        review_band: half-width of the band around 0.5, on the `straight` scale, inside which a person looks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    classifier: float | None = Field(default=None, gt=0.0, le=1.0)
    anomaly: float = Field(gt=0.0, allow_inf_nan=False)
    typical: Typical | None = None
    doubt: Doubt | None = None
    defect_score: DefectScore = "larger"
    review_band: float = Field(default=0.02, ge=0.0, le=0.5)

    @model_validator(mode="after")
    def _around_the_limits(self) -> "Limits":
        if self.doubt is None:
            return self
        if (self.doubt.classifier is None) != (self.classifier is None):
            raise ValueError("doubt must name the classifier's range exactly where it has a limit")
        for limit, around in ((self.classifier, self.doubt.classifier), (self.anomaly, self.doubt.anomaly)):
            if limit is not None and around is not None and not around[0] <= limit <= around[1]:
                raise ValueError("the range of a limit in doubt must hold the limit")
        return self


@dataclass(frozen=True)
class Decision:
    """What the rule says of one photo.

    Attributes:
        verdict: `clean`, a defect class, `anomalous` or `invalid`.
        score: 0..1, monotone in both opinions, >= 0.5 exactly when the verdict is a defect; None if invalid.
        defect_probability: 1 - p_clean as the rule saw it; None without defect classes or if invalid.
        rules: the rules that fired, the classifier's first.
        needs_review: near the limit, the two opinions differ, or a defect class leads below its limit.
        review_reasons: why, in plain words.
    """

    verdict: str
    score: float | None
    defect_probability: float | None
    rules: tuple[Rule, ...]
    needs_review: bool
    review_reasons: tuple[str, ...]


def decide(
    probabilities: Sequence[float], classes: Sequence[str], anomaly_score: float, limits: Limits
) -> Decision:
    """Decide over one photo.

    Args:
        probabilities: one per class, 0..1, summing to 1; the clean class first.
        classes: their names; `classes[0]` is `clean`.
        anomaly_score: >= 0, the larger the stranger.
        limits: where the rules fire.

    Raises:
        ValueError: if probabilities and classes do not match, or the clean class is not the first.
    """
    if len(probabilities) != len(classes) or not classes or classes[0] != CLEAN:
        raise ValueError(f"{len(probabilities)} probabilities for classes {list(classes)}, `clean` first")
    if not _trustworthy(probabilities, anomaly_score):
        return invalid(["the model's outputs are not finite numbers in range"])

    defect_probability = None
    rules: list[Rule] = []
    if limits.classifier is not None and len(classes) > 1:
        defect_probability = min(1.0, max(0.0, 1.0 - probabilities[0]))
        if defect_probability >= limits.classifier:
            rules.append("classifier")
    if anomaly_score >= limits.anomaly:
        rules.append("anomaly")

    if "classifier" in rules:
        best = max(range(1, len(classes)), key=lambda index: probabilities[index])
        verdict = classes[best]
    else:
        verdict = ANOMALOUS if rules else CLEAN
    score = combined_score(anomaly_score, defect_probability, limits)
    reasons = []
    if _in_doubt(defect_probability, anomaly_score, limits):
        reasons.append(NEAR_LIMIT if limits.doubt is None else IN_DOUBT)
    if defect_probability is not None and len(rules) == 1:
        reasons.append(f"only the {rules[0]} rule fired")
    if verdict == CLEAN and max(probabilities) > probabilities[0] and defect_probability is not None:
        reasons.append("a defect class is more probable than clean, but below its limit")
    return Decision(verdict, score, defect_probability, tuple(rules), bool(reasons), tuple(reasons))


def _in_doubt(defect_probability: float | None, anomaly_score: float, limits: Limits) -> bool:
    """Whether other limits that are as likely would have turned the verdict."""
    doubt = limits.doubt
    if doubt is None:
        return from_limit(anomaly_score, defect_probability, limits) < limits.review_band
    seen = [(anomaly_score, doubt.anomaly)]
    if defect_probability is not None and doubt.classifier is not None:
        seen.append((defect_probability, doubt.classifier))
    strict = any(value >= low for value, (low, _) in seen)
    lax = any(value >= high for value, (_, high) in seen)
    return strict and not lax


def invalid(reasons: Sequence[str]) -> Decision:
    """The decision over a photo of which nothing can be said."""
    return Decision(INVALID, None, None, (), needs_review=True, review_reasons=tuple(reasons))


def anomaly_opinion(anomaly_score: float, limit: float) -> float:
    """Map an anomaly score >= 0 to 0..1, rising, 0.5 at the limit."""
    # score / (score + limit), in the form that does not overflow.
    if anomaly_score >= limit:
        return _keep_side(1.0 / (1.0 + limit / anomaly_score), fired=True)
    ratio = anomaly_score / limit
    return _keep_side(ratio / (1.0 + ratio), fired=False)


def combined_score(anomaly_score: float, defect_probability: float | None, limits: Limits) -> float:
    """The score of one photo, 0..1, rising in both opinions, >= 0.5 exactly when a rule fires.

    Where a rule fires, the larger opinion; `backed`, what it has above 0.5 counts for a third where the other
    sees no more than in a typical good part, and in full where the other is sure as well. Below both limits,
    what a typical good part has left to the limit is the unit, and what is left by either rule is multiplied:
    two opinions that are both half-way to their limit say more than one of them. Without a `typical_part` the
    larger opinion there.

    Args:
        anomaly_score: >= 0, finite.
        defect_probability: 0..1; None where the classifier has no say.
    """
    anomaly = anomaly_opinion(anomaly_score, limits.anomaly)
    if defect_probability is None or limits.classifier is None:
        return anomaly
    typical = typical_part(limits)
    classifier = classifier_opinion(defect_probability, limits.classifier, typical)
    room = 0.5 - typical[1]
    smaller, larger = sorted((anomaly, classifier))
    if larger >= 0.5 and limits.defect_score == "backed":
        backing = max(0.0, (smaller - typical[1]) / (1.0 - typical[1]))
        return _keep_side(0.5 + (larger - 0.5) * (1.0 + 2.0 * backing) / 3.0, fired=True)
    if larger >= 0.5 or room == 0.5:
        return larger
    left = min(1.0, (0.5 - classifier) / room)
    return _keep_side(0.5 - (0.5 - anomaly) * left, fired=False)


def from_limit(anomaly_score: float, defect_probability: float | None, limits: Limits) -> float:
    """How far a photo is from the limits, 0..0.5, on the `straight` scale."""
    return abs(combined_score(anomaly_score, defect_probability, straight(limits)) - 0.5)


def straight(limits: Limits) -> Limits:
    """The same limits with each rule on its own scale, whatever good parts score.

    For what a graph may be off, and how near a limit is: the common scale is compressed just below limits.
    """
    return limits.model_copy(update={"typical": None, "defect_score": "larger"})


def typical_part(limits: Limits) -> tuple[float, float]:
    """Defect probability and opinion of a typical good part, which both rules are to see alike.

    (0, 0) where that is not known, or where a typical part reaches a limit.
    """
    typical = limits.typical
    if typical is None or typical.classifier is None or limits.classifier is None:
        return 0.0, 0.0
    # Of a net that is sure it is just 0, and a limit that follows it there would reject everything.
    probability = max(typical.classifier, _SMALLEST)
    if probability >= limits.classifier or typical.anomaly >= limits.anomaly:
        return 0.0, 0.0
    return probability, anomaly_opinion(typical.anomaly, limits.anomaly)


def classifier_opinion(
    defect_probability: float, limit: float, typical: tuple[float, float] = (0.0, 0.0)
) -> float:
    """Map a defect probability to 0..1, rising, 0.5 at the limit.

    Straight above the limit, and below it from 0 at 0 through the `typical_part`. Were it straight all the
    way, the anomaly scores of good parts, which lie close below their limit, would drown every probability
    that does not, and the larger of both opinions would rank photos worse than either.
    """
    if defect_probability >= limit:
        above = 0.5 + 0.5 * (defect_probability - limit) / (1.0 - limit) if limit < 1.0 else 1.0
        return _keep_side(above, fired=True)
    start, opinion = typical
    if defect_probability < start:
        return _keep_side(opinion * (defect_probability / start), fired=False)
    share = (defect_probability - start) / (limit - start)
    return _keep_side(opinion + (0.5 - opinion) * share, fired=False)


def _keep_side(opinion: float, fired: bool) -> float:
    # Rounding must not carry an opinion over the limit that its rule did not cross.
    return min(1.0, max(0.5, opinion)) if fired else max(0.0, min(_JUST_BELOW_HALF, opinion))


def _trustworthy(probabilities: Sequence[float], anomaly_score: float) -> bool:
    values = [*probabilities, anomaly_score]
    if not all(math.isfinite(value) for value in values) or anomaly_score < 0.0:
        return False
    return all(-1e-4 <= p <= 1.0 + 1e-4 for p in probabilities) and abs(sum(probabilities) - 1.0) < 1e-3
