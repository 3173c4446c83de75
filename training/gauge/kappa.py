"""Agreement beyond chance between verdicts: Cohen's kappa with a standard, Fleiss' kappa between repeats."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

# AIAG, Measurement Systems Analysis, 4th edition (2010), chapter III, section C.
GOOD, POOR = 0.75, 0.40

_CERTAIN = 1e-12


def cohens_kappa(table: Sequence[Sequence[int]] | npt.NDArray[np.int64]) -> float | None:
    """Cohen's kappa of two raters (J. Cohen, Educational and Psychological Measurement 20, 1960).

    Args:
        table: counts [k, k]; row the one rater's category, column the other's.

    Returns:
        -1..1; None without any count, and where both always name the same one category, so that chance alone
        would agree as well.

    Raises:
        ValueError: when the table is not square, or a count is negative.
    """
    counts = _counts(table)
    if counts.shape[0] != counts.shape[1]:
        raise ValueError(f"a table of {counts.shape} is not square")
    total = counts.sum()
    if not total:
        return None
    shares = counts / total
    return _beyond(float(np.trace(shares)), float(shares.sum(axis=1) @ shares.sum(axis=0)))


def fleiss_kappa(counts: Sequence[Sequence[int]] | npt.NDArray[np.int64]) -> float | None:
    """Fleiss' kappa between repeats (J. L. Fleiss, Psychological Bulletin 76, 1971).

    Parts may have different numbers of repeats, and each part counts alike (K. L. Gwet, Handbook of
    Inter-Rater Reliability, 4th edition, 2014, chapter 2); with equal numbers this is Fleiss' own form.

    Args:
        counts: [n, k]; how many repeats of a part fell into each category, two and more for each part.

    Returns:
        -1..1; None without any part, and where all repeats of all parts fell into one category.

    Raises:
        ValueError: when a part has fewer than two repeats, or a count is negative.
    """
    table = _counts(counts)
    if not table.size:
        return None
    repeats = table.sum(axis=1)
    if repeats.min() < 2:
        raise ValueError("agreement between repeats needs two repeats of each part")
    pairs = (table * (table - 1)).sum(axis=1) / (repeats * (repeats - 1))
    shares = (table / repeats[:, None]).mean(axis=0)
    return _beyond(float(pairs.mean()), float(shares @ shares))


def grade(kappa: float) -> str:
    """What AIAG's rule of thumb calls a kappa: good, fair or poor."""
    if kappa > GOOD:
        return "good"
    return "poor" if kappa < POOR else "fair"


def _beyond(observed: float, by_chance: float) -> float | None:
    if by_chance > 1.0 - _CERTAIN:
        return None
    return (observed - by_chance) / (1.0 - by_chance)


def _counts(table: Sequence[Sequence[int]] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    counts = np.asarray(table, dtype=np.int64)
    if counts.size and (counts.ndim != 2 or counts.min() < 0):
        raise ValueError("counts come as rows of numbers that are not negative")
    return counts
