"""What an engineer signs: what the limits cost, what could be caught, and whether probabilities hold."""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from models.manifest import RateInterval
from training.metrics import rate_interval

DEFECT_RATE = 0.01
PARTS = 10_000
RECALL_AT = (0.001, 0.005, 0.01)
# A bin of few photos has an interval that says nothing.
RELIABILITY_BINS, FEW_BINS, FEW_PHOTOS = 10, 5, 200

# Shares of the photo that a defect's mask marks, where one size ends and the next begins.
SIZES = (0.001, 0.01, 0.05)

_NEVER_QUITE = 1e-9

Values = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True)


class Estimate(_Figures):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


class CostView(_Figures):
    """What the limits cost on a line of which `defect_rate` of the parts are defective."""

    defect_rate: float = Field(description="Share of parts that are defective, 0..1, as stated by the user.")
    parts: int = Field(description="The other figures are of so many parts.")
    false_rejects: Estimate | None = Field(description="Good parts that are rejected.")
    escapes: Estimate | None = Field(description="Defective parts that are passed.")
    positive_predictive_value: Estimate | None = Field(
        description="Share of rejected parts that are defective; null where nothing would be rejected."
    )


class RecallAt(_Figures):
    """How many defects would be caught with the combined score at a given share of false rejects."""

    false_rejects: float = Field(description="Largest share of good photos rejected, 0..1.")
    recall: float
    caught: int
    interval: RateInterval


class ReliabilityBin(_Figures):
    """Photos whose defect probability lies in one range, and how many of them are defective."""

    n: int
    defective: int
    predicted: float = Field(
        description="Mean defect probability, for the share of defects among the photos."
    )
    observed: RateInterval


class SizeFigures(_Figures):
    """What became of defects of one size: the share of the photo that their masks mark."""

    above: float = Field(description="Larger than this share of the photo, 0..1.")
    up_to: float
    n: int
    escaped: int
    escape_interval: RateInterval


def cost_view(
    false_rejects: RateInterval | None, escapes: RateInterval | None, defect_rate: float
) -> CostView:
    """Turn the rates of test photos into parts of a line.

    Args:
        false_rejects, escapes: shares of good and of defective photos; None where there are none.
        defect_rate: share of the line's parts that are defective, 0..1.
    """
    value = None
    if false_rejects is not None and escapes is not None:
        best = _predictive(1.0 - escapes.low, false_rejects.low, defect_rate)
        worst = _predictive(1.0 - escapes.high, false_rejects.high, defect_rate)
        likely = _predictive(1.0 - escapes.rate, false_rejects.rate, defect_rate)
        if likely is not None:
            value = Estimate(value=likely, low=worst or 0.0, high=1.0 if best is None else best)
    return CostView(
        defect_rate=defect_rate,
        parts=PARTS,
        false_rejects=_of_parts(false_rejects, 1.0 - defect_rate),
        escapes=_of_parts(escapes, defect_rate),
        positive_predictive_value=value,
    )


def recall_at(
    scores: Values, defective: Flags, groups: Sequence[Hashable], false_rejects: float
) -> RecallAt | None:
    """The largest recall with at most this share of good photos rejected; None without both kinds.

    Args:
        scores: [N], larger for defective photos; a photo at the threshold is rejected.
        defective: [N].
        groups: what each photo belongs to; the interval counts each group once.
    """
    good, bad = scores[~defective], scores[defective]
    if not len(good) or not len(bad):
        return None
    allowed = int(np.floor(false_rejects * len(good) + _NEVER_QUITE))
    bound = float(np.sort(good)[::-1][allowed]) if allowed < len(good) else -np.inf
    caught = int((bad > bound).sum())
    return RecallAt(
        false_rejects=false_rejects,
        recall=caught / len(bad),
        caught=caught,
        interval=rate_interval(caught, len(bad), _count_groups(groups, defective)),
    )


def reliability(probabilities: Values, defective: Flags, groups: Sequence[Hashable]) -> list[ReliabilityBin]:
    """How often photos are defective that are given a probability of it; empty without both kinds.

    The classifier learns from as many defective photos as good ones. Its probabilities are converted to the
    share of defects among these photos first (Saerens et al., Neural Computation 14, 2002).
    """
    share = float(defective.mean()) if len(defective) else 0.0
    if not 0.0 < share < 1.0:
        return []
    odds = _odds(probabilities) * share / (1.0 - share)
    expected = odds / (1.0 + odds)
    count = RELIABILITY_BINS if len(set(groups)) >= FEW_PHOTOS else FEW_BINS
    places = np.minimum((expected * count).astype(int), count - 1)
    bins = []
    for place in np.unique(places):
        inside = places == place
        n, bad = int(inside.sum()), int(defective[inside].sum())
        predicted = float(expected[inside].mean())
        observed = rate_interval(bad, n, _count_groups(groups, inside))
        bins.append(ReliabilityBin(n=n, defective=bad, predicted=predicted, observed=observed))
    return bins


def by_size(sizes: Sequence[tuple[float, bool, Hashable]]) -> list[SizeFigures]:
    """Escapes by the size of the defect; sizes without a photo are left out.

    Args:
        sizes: of each defective photo with a mask, the share of it that is marked, whether it escaped, and
            its group.
    """
    figures = []
    for above, up_to in zip((0.0, *SIZES), (*SIZES, 1.0), strict=True):
        inside = [(gone, group) for share, gone, group in sizes if above < share <= up_to]
        if inside:
            escaped = [gone for gone, _ in inside]
            figures.append(
                SizeFigures(
                    above=above,
                    up_to=up_to,
                    n=len(escaped),
                    escaped=sum(escaped),
                    escape_interval=rate_interval(
                        sum(escaped), len(escaped), len({group for _, group in inside})
                    ),
                )
            )
    return figures


def _count_groups(groups: Sequence[Hashable], rows: Flags) -> int:
    """How many groups the photos of some rows, bool [N], are of."""
    return len({groups[row] for row in np.flatnonzero(rows).tolist()})


def _of_parts(rate: RateInterval | None, share: float) -> Estimate | None:
    if rate is None:
        return None
    factor = PARTS * share
    return Estimate(value=factor * rate.rate, low=factor * rate.low, high=factor * rate.high)


def _predictive(caught: float, false_rejects: float, defect_rate: float) -> float | None:
    rejected = defect_rate * caught + (1.0 - defect_rate) * false_rejects
    return defect_rate * caught / rejected if rejected > 0.0 else None


def _odds(probabilities: Values) -> Values:
    inside = np.clip(probabilities, _NEVER_QUITE, 1.0 - _NEVER_QUITE)
    return np.asarray(inside / (1.0 - inside))
