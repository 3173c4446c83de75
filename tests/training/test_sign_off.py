"""What an engineer signs: costs, recall at given false rejects, reliability, escapes by size."""

import numpy as np
import pytest

from models.manifest import RateInterval
from training.metrics import rate_interval
from training.sign_off import by_size, cost_view, recall_at, reliability


def test_costs_are_those_of_ten_thousand_parts() -> None:
    cost = cost_view(rate_interval(2, 100), rate_interval(1, 20), 0.01)
    assert cost.false_rejects is not None
    assert cost.escapes is not None
    assert cost.positive_predictive_value is not None
    assert cost.false_rejects.value == pytest.approx(9900 * 0.02)
    assert cost.escapes.value == pytest.approx(100 * 0.05)
    assert cost.positive_predictive_value.value == pytest.approx(95 / (95 + 198))
    assert cost.positive_predictive_value.low < 95 / 293 < cost.positive_predictive_value.high
    assert cost.escapes.high == pytest.approx(100 * rate_interval(1, 20).high)


def test_costs_of_what_was_not_measured_are_not_told() -> None:
    cost = cost_view(None, rate_interval(0, 5), 0.02)
    assert cost.false_rejects is None
    assert cost.positive_predictive_value is None
    assert cost.escapes is not None
    nothing = RateInterval(rate=0.0, low=0.0, high=1.0)
    assert cost_view(nothing, nothing, 0.0).positive_predictive_value is None, "nothing would be rejected"


def test_recall_at_false_rejects() -> None:
    scores = np.array([0.1, 0.2, 0.3, 0.9, 0.3, 0.4, 0.95, 0.99])
    defective = np.array([False] * 4 + [True] * 4)
    none = recall_at(scores, defective, range(8), 0.01)
    assert none is not None
    assert (none.caught, none.recall) == (2, 0.5), "above every good photo"
    quarter = recall_at(scores, defective, range(8), 0.25)
    assert quarter is not None
    assert quarter.caught == 3, "a defect that ties with a good photo would take that one along"
    everything = recall_at(scores, defective, range(8), 1.0)
    assert everything is not None
    assert everything.recall == 1.0
    assert recall_at(scores[:4], defective[:4], range(4), 0.01) is None


def test_honest_probabilities_lie_on_the_diagonal() -> None:
    """Good at -1 and defective at +1, both of variance 1: of as many of each, exp(2x) are the odds."""
    rng = np.random.default_rng(0)
    defective = rng.uniform(size=60_000) < 0.2
    x = rng.normal(np.where(defective, 1.0, -1.0), 1.0)
    bins = reliability(1.0 / (1.0 + np.exp(-2.0 * x)), defective, range(60_000))
    assert len(bins) == 10
    assert sum(each.n for each in bins) == 60_000
    for each in bins:
        assert each.observed.rate == pytest.approx(each.predicted, abs=0.04)


def test_a_bin_holds_its_interval() -> None:
    probabilities = np.array([0.05] * 50 + [0.95] * 50)
    defective = np.array([False] * 49 + [True] + [True] * 48 + [False] * 2)
    low, high = reliability(probabilities, defective, range(100))
    share = defective.mean()
    odds = 0.05 / 0.95 * share / (1 - share)
    assert low.predicted == pytest.approx(odds / (1 + odds))
    assert (low.n, low.defective, low.observed) == (50, 1, rate_interval(1, 50))
    assert (high.n, high.defective) == (50, 48)
    assert reliability(probabilities, np.zeros(100, dtype=bool), range(100)) == []


def test_sizes_without_a_photo_are_left_out() -> None:
    found = by_size([(0.0005, True, "a"), (0.001, False, "b"), (0.2, False, "c")])
    assert [(each.above, each.up_to, each.n, each.escaped) for each in found] == [
        (0.0, 0.001, 2, 1),
        (0.05, 1.0, 1, 0),
    ]
    assert by_size([]) == []


def test_intervals_count_each_group_once() -> None:
    """Four photos of two parts say as much as two photos do."""
    scores, defective = np.array([0.1, 0.2, 0.8, 0.9, 0.8, 0.9]), np.array([False] * 2 + [True] * 4)
    groups = ["good", "good", "a", "a", "b", "b"]
    recall = recall_at(scores, defective, groups, 0.01)
    assert recall is not None
    assert recall.interval == rate_interval(4, 4, 2)
    assert recall.interval.low == rate_interval(2, 2).low
    assert [each.observed for each in reliability(np.full(6, 0.7), defective, groups)] == [
        rate_interval(4, 6, 3)
    ]
    (size,) = by_size(
        [(0.02, gone, group) for gone, group in zip([True, True, False, False], "aabb", strict=True)]
    )
    assert size.escape_interval == rate_interval(2, 4, 2)
