"""Assigns groups of photos to splits so that each stratum's shares are met as nearly as groups allow."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# Labels in fewer groups than there are splits cannot appear in every split.
_GROUPS_TO_SHARE = 3

# Outweighs any deviation from the shares.
_MISSING = 1e6


def assign(counts: Floats, has_label: Bools, allowed: Bools, shares: Floats) -> list[int]:
    """Assign U groups to K splits.

    Greedily, the most constrained and largest groups first, each to the split where it lowers the deviation
    (a - t)^2 / t from the shares the most; then single groups are moved as long as that lowers the number of
    labels that are missing in a split, or else the deviation. Ties fall to the earlier group and the last
    split, so that the result depends on the arguments alone.

    Args:
        counts: photos of each stratum in each group, [U, S].
        has_label: labels that occur in each group, [U, L].
        allowed: splits that each group may go to, [U, K]; at least one each.
        shares: share of each stratum that each split should get, [S, K]; each row sums to 1.

    Returns:
        The split of each group, 0..K-1.
    """
    targets = counts.sum(axis=0)[:, None] * shares
    # A stratum never enters a split of share 0, so that its weight there does not matter.
    weights = 1.0 / np.where(targets > 0, targets, 1.0)
    placed = np.zeros_like(targets)
    sides = np.zeros(len(counts), dtype=np.intp)
    for unit in np.lexsort((-counts.sum(axis=1), allowed.sum(axis=1))):
        cost = _cost_of_adding(counts[unit : unit + 1], placed, targets, weights)[0]
        sides[unit] = _last_smallest(np.where(allowed[unit], cost, np.inf))
        placed[:, sides[unit]] += counts[unit]
    while (move := _best_move(sides, counts, has_label, allowed, targets, weights)) is not None:
        unit, side = move
        sides[unit] = side
    return [int(side) for side in sides]


def _best_move(
    sides: npt.NDArray[np.intp],
    counts: Floats,
    has_label: Bools,
    allowed: Bools,
    targets: Floats,
    weights: Floats,
) -> tuple[int, int] | None:
    """The move of one group that improves the assignment the most, or None."""
    units, splits = allowed.shape
    chosen = np.eye(splits)[sides]
    placed = counts.T @ chosen
    enough = has_label.sum(axis=0) >= _GROUPS_TO_SHARE
    demand = (has_label.T.astype(float) @ allowed > 0) & enough[:, None]
    labelled = has_label.T.astype(float) @ chosen

    rows = np.arange(units)
    own = (counts**2 - 2 * counts * (placed - targets).T[sides]) * weights.T[sides]
    cost = own.sum(axis=1)[:, None] + _cost_of_adding(counts, placed, targets, weights)
    lost = (has_label & (demand & (labelled == 1)).T[sides]).sum(axis=1)
    gained = has_label.astype(float) @ (demand & (labelled == 0))
    cost = np.round(cost + _MISSING * (lost[:, None] - gained), 9)
    cost[~allowed] = np.inf
    cost[rows, sides] = np.inf
    unit, side = divmod(int(np.argmin(cost)), splits)
    return (unit, side) if cost[unit, side] < 0 else None


def _cost_of_adding(counts: Floats, placed: Floats, targets: Floats, weights: Floats) -> Floats:
    """How much the deviation grows when each group is added to each split, [U, K]."""
    return np.asarray(counts**2 @ weights + 2 * counts @ ((placed - targets) * weights))


def _last_smallest(cost: Floats) -> int:
    # With too few groups for every split, a test photo is worth more than a calibration photo.
    rounded = np.round(cost, 9)
    return int(np.flatnonzero(rounded == rounded.min())[-1])
