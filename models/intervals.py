"""Exact confidence intervals of a share, for training and the service alike; the service has no scipy.

Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
Biometrika 26 (1934): the limits are quantiles of beta distributions.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

CONFIDENCE = 0.95
_STEPS = 60  # halvings of the interval 0..1: more than a float can tell apart
_TERMS = 100_000
_TINY = 1e-300
_PRECISION = 1e-15


@dataclass(frozen=True)
class Share:
    """`count` of `total`, as a rate 0..1 with its exact interval; None without anything to count."""

    count: int
    total: int
    rate: float | None
    low: float | None
    high: float | None


def share(count: int, total: int, confidence: float = CONFIDENCE) -> Share:
    """The share and its Clopper-Pearson interval.

    Args:
        count: 0..total.
        total: >= 0.
        confidence: two-sided, 0..1.
    """
    if total == 0:
        return Share(0, 0, None, None, None)
    return Share(count, total, count / total, *interval(count, total, confidence))


def interval(count: float, total: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The Clopper-Pearson interval of `count` of `total`, for 0 <= count <= total and total >= 1.

    A `count` between two whole numbers is what is left of one where photos are counted by their groups.
    """
    tail = (1.0 - confidence) / 2.0
    low = _root(lambda p: beta_cdf(p, count, total - count + 1) - tail) if count else 0.0
    high = _root(lambda p: beta_cdf(p, count + 1, total - count) - (1.0 - tail)) if count < total else 1.0
    return low, high


def beta_cdf(x: float, a: float, b: float) -> float:
    """The distribution function of Beta(a, b) at x in 0..1, for a, b > 0."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    # The continued fraction converges fast on this side of the mean only.
    if x < (a + 1.0) / (a + b + 2.0):
        return math.exp(logarithm) * _fraction(x, a, b) / a
    return 1.0 - math.exp(logarithm) * _fraction(1.0 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's algorithm."""
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > _TINY else _TINY)
    value = d
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for term in (even, odd):
            d = 1.0 + term * d
            d = 1.0 / (d if abs(d) > _TINY else _TINY)
            c = 1.0 + term / c
            c = c if abs(c) > _TINY else _TINY
            change = c * d
            value *= change
        if abs(change - 1.0) < _PRECISION:
            break
    return value


def _root(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        if rising(middle) < 0.0:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0
