"""Whether one way of scoring photos ranks them better than another, beyond chance."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from models.intervals import beta_cdf


@dataclass(frozen=True)
class Gain:
    """By how much other scores of the same photos raise the area under the ROC curve.

    Attributes:
        before: the area without.
        gain: what is added to it, -1..1.
        error: the gain's standard error.
        groups: how many groups of photos it rests on.
    """

    before: float
    gain: float
    error: float
    groups: int

    def chance(self, beyond: float = 0.0) -> float:
        """How likely a gain as large or larger is where it is truly `beyond`, 0..1 (t distribution)."""
        excess = self.gain - beyond
        if self.error == 0.0:
            return 0.5 if excess == 0.0 else float(excess < 0.0)
        t, freedom = excess / self.error, self.groups - 1
        tail = 0.5 * beta_cdf(freedom / (freedom + t * t), 0.5 * freedom, 0.5)
        return tail if t > 0.0 else 1.0 - tail


def auroc_gain(
    before: Sequence[float], after: Sequence[float], defective: Sequence[bool], groups: Sequence[Hashable]
) -> Gain:
    """Compare two ways of scoring the same photos.

    The error is that of DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988) for two curves of the same
    photos, with photos of one group counted as one observation (Obuchowski, Biometrics 53, 1997).

    Args:
        before, after: larger for defective photos, one each.
        groups: photos that are alike share one.

    Raises:
        ValueError: without photos of either kind, or with fewer than two groups.
    """
    bad = np.asarray(defective, dtype=bool)
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    if not bad.any() or bad.all() or len(numbers) < 2:
        raise ValueError("a gain needs photos of either kind, in two groups")
    wins = []
    for scores in (before, after):
        values = np.asarray(scores, dtype=np.float64)
        wins.append(0.5 * (np.sign(values[bad][:, None] - values[~bad][None, :]) + 1.0))
    gains = wins[1] - wins[0]
    gain = float(gains.mean())
    shares = np.empty(len(bad))
    shares[bad] = (gains.mean(axis=1) - gain) / bad.sum()
    shares[~bad] = (gains.mean(axis=0) - gain) / (~bad).sum()
    by_group = np.bincount([numbers[group] for group in groups], weights=shares)
    error = float(np.sqrt(len(numbers) / (len(numbers) - 1) * np.square(by_group).sum()))
    return Gain(float(wins[0].mean()), gain, error, len(numbers))
