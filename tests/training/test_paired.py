"""Gains beyond chance, against repeated draws and scipy."""

import numpy as np
import pytest
from scipy import stats

from training.metrics import auroc
from training.paired import Gain, auroc_gain


def drawn(rng: np.random.Generator, alike: int) -> tuple[list[float], list[float], list[bool], list[int]]:
    """Two ways of scoring 60 photos, groups of `alike` of which share all but a little."""
    n = 60 // alike
    defective = np.repeat(np.arange(n) >= 2 * n // 3, alike)
    shared, first, second = (
        np.repeat(rng.normal(size=n), alike) + 0.05 * rng.normal(size=60) for _ in range(3)
    )
    shared = shared + 1.0 * defective
    groups = np.repeat(np.arange(n), alike)
    return (shared + first).tolist(), (shared + 0.6 * second).tolist(), defective.tolist(), groups.tolist()


@pytest.mark.parametrize("alike", [1, 3])
def test_the_error_is_how_far_chance_moves_the_gain(alike: int) -> None:
    rng = np.random.default_rng(0)
    gains, errors = [], []
    for _ in range(500):
        before, after, defective, groups = drawn(rng, alike)
        found = auroc_gain(before, after, defective, groups)
        assert found.groups == 60 // alike
        assert found.before == pytest.approx(auroc(before, defective))
        assert found.before + found.gain == pytest.approx(auroc(after, defective))
        gains.append(found.gain)
        errors.append(found.error**2)
    assert np.sqrt(np.mean(errors)) == pytest.approx(np.std(gains), rel=0.15)


def test_photos_that_are_alike_are_no_further_evidence() -> None:
    before, after, defective, groups = drawn(np.random.default_rng(1), 3)
    grouped = auroc_gain(before, after, defective, groups)
    alone = auroc_gain(before, after, defective, list(range(60)))
    assert grouped.gain == alone.gain
    assert grouped.error > 1.4 * alone.error


@pytest.mark.parametrize(("gain", "groups"), [(0.02, 3), (0.02, 400), (-0.01, 12), (0.0, 9)])
def test_chance_is_the_tail_of_students_t(gain: float, groups: int) -> None:
    assert Gain(0.9, gain, 0.01, groups).chance() == pytest.approx(stats.t.sf(gain / 0.01, groups - 1))


def test_a_gain_of_nothing_is_chance_and_one_without_any_error_is_none() -> None:
    same = auroc_gain([1, 2, 2, 3], [1, 2, 2, 3], [False, True, False, True], [0, 1, 2, 3])
    assert (same.gain, same.error, same.chance()) == (0.0, 0.0, 0.5)
    turned = auroc_gain([2, 2, 1, 1], [1, 1, 2, 2], [False, False, True, True], [0, 1, 2, 3])
    assert (turned.before, turned.gain, turned.chance()) == (0.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("defective", "groups"), [([True, True], [0, 1]), ([False, False], [0, 1]), ([True, False], [0, 0])]
)
def test_too_little_to_tell_is_refused(defective: list[bool], groups: list[int]) -> None:
    with pytest.raises(ValueError, match="either kind, in two groups"):
        auroc_gain([1.0, 2.0], [1.0, 2.0], defective, groups)
