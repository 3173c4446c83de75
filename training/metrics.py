"""How good an inspector is: areas under curves over photos and pixels, rates with their intervals."""

from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.intervals import interval
from models.manifest import RateInterval

# Every float16 from 0 to infinity, in order, is one of these bit patterns.
_LEVELS = 0x7C01
_LARGEST = float(np.finfo(np.float16).max)

Curve = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def auroc(scores: Sequence[float], defective: Sequence[bool]) -> float | None:
    """Area under the ROC curve, 0..1, of scores that should be larger for defective photos.

    Returns None when all photos are good or all are defective.

    Raises:
        ValueError: when a score is not a number.
    """
    values, bad = np.asarray(scores, dtype=np.float64), np.asarray(defective, dtype=bool)
    if np.isnan(values).any():
        raise ValueError("a score is not a number")
    if bad.all() or not bad.any():
        return None
    good = np.sort(values[~bad])
    # Of each defective photo, twice the good ones below it; a tie is half a win.
    wins = np.searchsorted(good, values[bad], "left") + np.searchsorted(good, values[bad], "right")
    return float(wins.sum()) / (2 * len(good) * int(bad.sum()))


def roc_curve(scores: npt.NDArray[np.float64], defective: npt.NDArray[np.bool_]) -> Curve:
    """The corners of the ROC curve of N photos, both kinds among them, from (0, 0) to (1, 1).

    Returns:
        The share of good photos and of defective ones at or above falling thresholds, 0..1 each.
    """
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    points = np.array(
        [np.append(0, np.cumsum(kind[order])[last_of_ties]) for kind in (~defective, defective)]
    )
    turns = np.concatenate(([True], np.diff(points, 2).any(axis=0), [True]))
    false_rejects, caught = points[:, turns] / points[:, -1:]
    return false_rejects, caught


def rate_interval(count: int, total: int, groups: int | None = None) -> RateInterval:
    """The rate `count / total` with its exact 95 % interval (Clopper and Pearson, Biometrika 1934).

    Photos of one part, or of one place of the camera, tend to be rejected together, and many of them say
    little more than one. How much more cannot be told from few groups, so nothing is taken for granted: the
    effective number of photos (Korn and Graubard, Survey Methodology 24, 1998) is then that of the groups.

    Args:
        groups: how many groups the photos are of, each of which counts once; None where each stands alone.

    Raises:
        ValueError: without any trial, or unless 0 <= count <= total and 0 < groups <= total.
    """
    effective = total if groups is None else groups
    if not 1 <= effective <= total or not 0 <= count <= total:
        raise ValueError(f"no rate of {count} out of {total} in {groups} groups")
    low, high = interval(count if effective == total else count * effective / total, effective)
    return RateInterval(rate=count / total, low=low, high=high)


def shrink_mask(mask: npt.NDArray[np.bool_], height: int, width: int) -> npt.NDArray[np.bool_]:
    """Reduce a mask bool [H, W] to bool [height, width] so that no defect that stands alone vanishes.

    A cell is defective when at least half of it is. Where a cluster of touched cells (8-connected) holds none
    such, those that are covered most are.
    """
    size = (width, height)
    shrinks = height * width < mask.size
    covered = np.asarray(
        cv2.resize(
            mask.astype(np.float32), size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
    )
    labels, count = _label(covered > 0.0)
    needed = np.zeros(count + 1)
    np.maximum.at(needed, labels, covered)
    needed = np.minimum(0.5, needed)
    return np.asarray((labels > 0) & (covered >= needed[labels]), dtype=bool)


class PixelTally:
    """Counts map values inside and outside the true defects, photo by photo, in constant memory.

    Maps are taken as float16, of which there are few enough to count each value: nothing is binned.
    """

    def __init__(self) -> None:
        self._good = np.zeros(_LEVELS, dtype=np.int64)
        self._defect = np.zeros(_LEVELS, dtype=np.int64)
        self._overlap = np.zeros(_LEVELS, dtype=np.float64)
        self._regions = 0

    def add(self, anomaly_map: npt.NDArray[Any], mask: npt.NDArray[np.bool_] | None) -> None:
        """Take in one photo.

        Args:
            anomaly_map: float [h, w], >= 0, the larger the stranger.
            mask: bool [H, W] over the same view at any resolution, True where defective; None for a good
                photo.

        Raises:
            ValueError: when the map holds a negative value or one that is not finite.
        """
        if not (np.isfinite(anomaly_map).all() and float(anomaly_map.min()) >= 0.0):
            raise ValueError("an anomaly map holds values that are negative or not finite")
        levels = _level(anomaly_map)
        if mask is None or not mask.any():
            self._good += np.bincount(levels.reshape(-1), minlength=_LEVELS)
            return
        small = shrink_mask(mask, *anomaly_map.shape)
        self._good += np.bincount(levels[~small], minlength=_LEVELS)
        self._defect += np.bincount(levels[small], minlength=_LEVELS)
        labels, count = _label(small)
        sizes = np.bincount(labels.reshape(-1), minlength=count + 1)
        share = 1.0 / sizes[labels[small]]
        self._overlap += np.bincount(levels[small], weights=share, minlength=_LEVELS)
        self._regions += count

    def auroc(self) -> float | None:
        """Area under the ROC curve over all pixels; None without defective or without good pixels."""
        good, defect = int(self._good.sum()), int(self._defect.sum())
        if not good or not defect:
            return None
        below = np.cumsum(self._good) - 0.5 * self._good
        return float(self._defect @ below) / (good * defect)

    def aupro(self, limit: float = 0.3) -> float | None:
        """Area under the per-region overlap curve, 0..1.

        The mean share of each defect region at or above a threshold, over the share of good pixels at or
        above it, from 0 to `limit`, divided by `limit` (Bergmann et al., The MVTec Anomaly Detection
        Dataset, IJCV 2021). Regions are 8-connected. None without defective or without good pixels.
        """
        good = int(self._good.sum())
        if not good or not self._regions:
            return None
        false_positives = np.concatenate(([0.0], np.cumsum(self._good[::-1]) / good))
        overlap = np.concatenate(([0.0], np.cumsum(self._overlap[::-1]) / self._regions))
        last = int(np.searchsorted(false_positives, limit, side="right"))
        # Where the curve rises straight up, its top is what holds at that share of good pixels.
        at_limit = np.interp(limit, false_positives[last - 1 : last + 1], overlap[last - 1 : last + 1])
        x = np.append(false_positives[:last], limit)
        y = np.append(overlap[:last], at_limit)
        return float(np.trapezoid(y, x)) / limit


def pixel_auroc(
    maps: Iterable[npt.NDArray[Any]], masks: Iterable[npt.NDArray[np.bool_] | None]
) -> float | None:
    """Area under the ROC curve over the pixels of all photos; see `PixelTally`."""
    return _tally(maps, masks).auroc()


def aupro(
    maps: Iterable[npt.NDArray[Any]], masks: Iterable[npt.NDArray[np.bool_] | None], limit: float = 0.3
) -> float | None:
    """Area under the per-region overlap curve over all photos; see `PixelTally`."""
    return _tally(maps, masks).aupro(limit)


def _tally(maps: Iterable[npt.NDArray[Any]], masks: Iterable[npt.NDArray[np.bool_] | None]) -> PixelTally:
    tally = PixelTally()
    for anomaly_map, mask in zip(maps, masks, strict=True):
        tally.add(anomaly_map, mask)
    return tally


def _label(mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int32], int]:
    """The number of each pixel's region (8-connected), 0 outside, and the count of regions."""
    with_outside, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return np.asarray(labels, dtype=np.int32), with_outside - 1


def _level(anomaly_map: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """The bit pattern uint16 [h, w] of each value as float16; rises with the value."""
    # A negative zero would have the largest pattern of all.
    small = np.minimum(np.abs(anomaly_map), _LARGEST).astype(np.float16)
    return np.asarray(small.view(np.uint16))
