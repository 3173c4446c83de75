"""Areas under curves and rate intervals, against hand calculation, scikit-learn and anomalib."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from training.metrics import (
    PixelTally,
    aupro,
    auroc,
    pixel_auroc,
    rate_interval,
    roc_curve,
    shrink_mask,
)


def test_a_score_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        auroc([float("nan"), 1.0], [True, False])


def test_auroc_is_the_share_of_pairs_in_the_right_order():
    assert auroc([0.1, 0.2, 0.9], [False, False, True]) == 1.0
    assert auroc([0.9, 0.8, 0.1], [False, False, True]) == 0.0
    assert auroc([0.5, 0.5], [False, True]) == 0.5
    assert auroc([0.1, 0.7, 0.4, 0.9], [False, False, True, True]) == pytest.approx(0.75)


@pytest.mark.parametrize("defective", [[], [False, False], [True]])
def test_auroc_is_unknown_without_both_kinds(defective: list[bool]):
    assert auroc([0.5] * len(defective), defective) is None


@pytest.mark.parametrize("kinds", [3, 9, 1000])
@pytest.mark.parametrize("count", [2, 3, 8, 60, 400])
def test_auroc_and_curve_are_scikit_learns_with_ties_and_without(count: int, kinds: int):
    rng = np.random.default_rng(count)
    scores = rng.integers(0, kinds, count) / 7
    defective = rng.permutation(np.arange(count) < max(1, count // 3))
    assert auroc(scores, defective) == pytest.approx(reference.roc_auc_score(defective, scores), abs=1e-12)
    rejected, caught = roc_curve(scores, defective)
    assert (rejected[0], caught[0], rejected[-1], caught[-1]) == (0.0, 0.0, 1.0, 1.0)
    theirs = np.transpose(reference.roc_curve(defective, scores, drop_intermediate=False)[:2])
    ours = np.transpose((rejected, caught))
    assert all(np.isclose(theirs, point, atol=1e-12).all(axis=1).any() for point in ours)
    # What lies between the corners lies on the lines that join them.
    assert np.trapezoid(caught, rejected) == pytest.approx(auroc(scores, defective), abs=1e-12)
    assert len(ours) <= len(theirs)


def test_a_straight_stretch_of_the_curve_has_no_points_between_its_ends():
    rejected, caught = roc_curve(
        np.array([6.0, 5.0, 4.0, 3.0, 2.0, 1.0]), np.array([True, True, True, False, False, False])
    )
    assert (rejected.tolist(), caught.tolist()) == ([0.0, 0.0, 1.0], [0.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [
        (0, 20, 0.0, 1 - 0.025 ** (1 / 20)),
        (20, 20, 0.025 ** (1 / 20), 1.0),
        (1, 10, 0.00253, 0.44502),  # Clopper and Pearson's own table
        (5, 10, 0.18709, 0.81291),
    ],
)
def test_rate_interval_is_clopper_and_pearsons(count: int, total: int, low: float, high: float):
    interval = rate_interval(count, total)
    assert interval.rate == count / total
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-5)


@given(st.integers(1, 400).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_rate_interval_holds_the_rate(case: tuple[int, int]):
    interval = rate_interval(*case)
    assert 0.0 <= interval.low <= interval.rate <= interval.high <= 1.0


def test_photos_of_a_group_count_once_in_the_interval():
    assert rate_interval(0, 61, groups=3) == rate_interval(0, 3)
    assert rate_interval(4, 40, groups=40) == rate_interval(4, 40)
    grouped = rate_interval(4, 40, groups=10)
    assert grouped.rate == 0.1
    assert (grouped.low, grouped.high) == (rate_interval(1, 10).low, rate_interval(1, 10).high)
    # Between whole numbers it lies between theirs.
    between = rate_interval(6, 40, groups=10)
    assert rate_interval(1, 10).high < between.high < rate_interval(2, 10).high


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n), st.integers(1, n))))
def test_fewer_groups_never_narrow_the_interval(case: tuple[int, int, int]):
    alone, grouped = rate_interval(*case[:2]), rate_interval(*case)
    assert grouped.low <= alone.low + 1e-9
    assert grouped.high >= alone.high - 1e-9
    assert grouped.low <= grouped.rate <= grouped.high


@pytest.mark.parametrize(
    ("count", "total", "groups"), [(0, 0, None), (-1, 5, 5), (6, 5, 5), (1, 5, 0), (1, 5, 6)]
)
def test_rate_interval_refuses_what_is_no_rate(count: int, total: int, groups: int | None):
    with pytest.raises(ValueError, match="out of"):
        rate_interval(count, total, groups)


def test_shrinking_a_mask_keeps_half_covered_cells():
    mask = np.zeros((8, 8), dtype=bool)
    mask[0:4, 0:2] = True  # half of the first cell
    mask[0:4, 4:5] = True  # a quarter of the second, its neighbour
    assert shrink_mask(mask, 2, 2).tolist() == [[True, False], [False, False]]


def test_shrinking_a_mask_loses_no_defect_that_stands_alone():
    mask = np.zeros((400, 400), dtype=bool)
    mask[10, 10] = True  # one pixel of 160,000
    mask[300:340, 300:340] = True
    small = shrink_mask(mask, 20, 20)
    assert small[0, 0]
    assert small[15:17, 15:17].all()
    assert small.sum() == 5


def test_shrinking_to_the_same_size_changes_nothing():
    mask = np.random.default_rng(0).random((30, 40)) > 0.7
    assert np.array_equal(shrink_mask(mask, 30, 40), mask)
    assert not shrink_mask(np.zeros((30, 40), dtype=bool), 7, 9).any()


def test_pixel_auroc_is_that_of_all_pixels_together():
    maps, masks = _random_photos(5)
    expected = reference.roc_auc_score(
        np.concatenate([mask.ravel() for mask in masks]), np.concatenate([m.ravel() for m in maps])
    )
    assert pixel_auroc(maps, masks) == pytest.approx(expected, abs=1e-9)


def test_aupro_agrees_with_going_through_every_threshold():
    maps, masks = _random_photos(5)
    assert aupro(maps, masks) == pytest.approx(_aupro_by_thresholds(maps, masks, 0.3), abs=1e-9)
    assert aupro(maps, masks, limit=0.05) == pytest.approx(_aupro_by_thresholds(maps, masks, 0.05), abs=1e-9)


def test_aupro_is_one_for_a_perfect_map_and_chance_for_a_flat_one():
    mask = np.zeros((20, 20), dtype=bool)
    mask[3:8, 3:8] = True
    assert aupro([mask.astype(np.float32)], [mask]) == pytest.approx(1.0)
    assert aupro([np.ones((20, 20))], [mask]) == pytest.approx(0.15)  # the diagonal, up to 0.3


def test_every_region_counts_the_same_in_aupro():
    """A map that finds the large region alone gets half, however small the other one is."""
    mask = np.zeros((40, 40), dtype=bool)
    mask[2:30, 2:30] = True
    mask[35, 35] = True
    found = np.zeros((40, 40))
    found[2:30, 2:30] = 1.0
    at_zero, at_limit = 0.5, 0.5 + 0.5 * 0.3
    assert aupro([found], [mask]) == pytest.approx((at_zero + at_limit) / 2)


def test_what_touches_at_a_corner_is_one_region():
    mask = np.zeros((40, 40), dtype=bool)
    mask[2:30, 2:30] = True
    mask[30, 30] = True
    found = np.zeros((40, 40))
    found[2:30, 2:30] = 1.0
    overlap = 784 / 785
    assert aupro([found], [mask]) == pytest.approx((overlap + overlap + 0.3 * (1 - overlap)) / 2)


def test_good_photos_lower_the_area_by_their_false_alarms():
    maps, masks = _random_photos(3)
    loud = np.full_like(maps[0], 60.0)
    without, with_loud = aupro(maps, masks), aupro([*maps, loud], [*masks, None])
    assert without is not None
    assert with_loud is not None
    assert with_loud < without


def test_pixel_figures_are_unknown_without_defects():
    tally = PixelTally()
    tally.add(np.ones((4, 4)), None)
    tally.add(np.ones((4, 4)), np.zeros((8, 8), dtype=bool))
    assert tally.auroc() is None
    assert tally.aupro() is None


def test_values_beyond_float16_stay_in_order_at_the_top():
    mask = np.array([[True, False]])
    assert pixel_auroc([np.array([[1e9, 60000.0]])], [mask]) == 1.0
    assert pixel_auroc([np.array([[0.0, -0.0]])], [mask]) == 0.5


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_maps_that_cannot_be_distances_are_refused(value: float):
    with pytest.raises(ValueError, match="negative or not finite"):
        PixelTally().add(np.array([[1.0, value]]), None)


@pytest.mark.real
@pytest.mark.skipif(importlib.util.find_spec("anomalib") is None, reason="anomalib is not installed")
def test_aupro_agrees_with_anomalib(tmp_path: Path):
    """In a process of its own: importing anomalib takes seconds and warns."""
    maps, masks = _random_photos(12)
    np.savez(tmp_path / "photos.npz", maps=np.stack(maps), masks=np.stack(masks))
    script = (
        "import sys, numpy, torch\n"
        "from anomalib.metrics.aupro import _AUPRO\n"
        "photos = numpy.load(sys.argv[1])\n"
        "metric = _AUPRO(fpr_limit=0.3)\n"
        "metric.update(torch.tensor(photos['maps']), torch.tensor(photos['masks']).int())\n"
        "print(float(metric.compute()))\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(tmp_path / "photos.npz")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert aupro(maps, masks) == pytest.approx(float(run.stdout.split()[-1]), abs=1e-4)


def _random_photos(count: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Maps float32 (exact in float16) and masks of equal size; some photos have two regions, one none."""
    rng = np.random.default_rng(7)
    maps, masks = [], []
    for index in range(count):
        anomaly_map, mask = rng.gamma(3.0, 2.0, (48, 64)), np.zeros((48, 64), dtype=bool)
        if index:
            mask[5:15, 5:25] = True
            anomaly_map[5:15, 5:25] += 5.0
        if index % 2:
            mask[30:33, 40:44] = True
            anomaly_map[30:33, 40:44] += 2.0
        maps.append(anomaly_map.astype(np.float16).astype(np.float32))
        masks.append(mask)
    return maps, masks


def _aupro_by_thresholds(maps: list[np.ndarray], masks: list[np.ndarray], limit: float) -> float:
    regions = []
    for anomaly_map, mask in zip(maps, masks, strict=True):
        for area in (np.s_[:20], np.s_[20:]):
            values = anomaly_map[area][mask[area]]
            regions += [values] if len(values) else []
    good = np.concatenate([m[~mask] for m, mask in zip(maps, masks, strict=True)])
    points = [(0.0, 0.0)]
    for threshold in np.unique(np.concatenate([m.ravel() for m in maps]))[::-1]:
        overlap = float(np.mean([(values >= threshold).mean() for values in regions]))
        points.append((float((good >= threshold).mean()), overlap))
    x, y = np.array(points).T
    at_limit = np.interp(limit, x, y)
    inside = x <= limit
    return float(np.trapezoid(np.append(y[inside], at_limit), np.append(x[inside], limit))) / limit
