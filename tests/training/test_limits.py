"""Limits come from held-out good photos, and say what those photos can support."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.decision import Limits
from training.limits import MARGIN, choose_limits, conformal_quantile, held_out_scores
from training.targets import set_by_hand

scores = st.lists(st.floats(0.0078125, 100.0, width=32), min_size=20, max_size=300)


def choose(good, bad=(), good_p=None, bad_p=(), target=0.01):
    probabilities = None if good_p is None else [*good_p, *bad_p]
    defective = [False] * len(good) + [True] * len(bad)
    return choose_limits(held_out_scores([*good, *bad], probabilities, defective), target)


@given(good=scores, target=st.floats(0.005, 0.2))
@settings(max_examples=100, deadline=None)
def test_no_more_held_out_good_photos_reach_the_limit_than_the_target_allows(good, target) -> None:
    chosen = choose(good, target=target)
    reached = sum(score >= chosen.limits.anomaly for score in good)
    assert reached <= target * (len(good) + 1)
    assert chosen.origins.anomaly.false_rejects.rate == pytest.approx(reached / len(good))


def test_photos_of_few_groups_claim_no_more_than_their_groups_can() -> None:
    rng = np.random.default_rng(0)
    good, p = rng.gamma(9.0, 2.0, 60).tolist(), rng.uniform(0.0, 0.2, 60).tolist()
    alone, grouped = (
        choose_limits(held_out_scores(good, p, [False] * 60, groups=groups), 0.02).origins
        for groups in ((), [row % 3 for row in range(60)])
    )
    for rule in ("anomaly", "classifier"):
        before, after = getattr(alone, rule), getattr(grouped, rule)
        assert (before.n_groups, after.n_groups) == (60, 3)
        assert before.false_rejects.high < 0.2
        assert after.false_rejects.high > 0.7
        assert after.false_rejects.rate == before.false_rejects.rate
        assert "are of 3 groups" in after.note
        assert "groups" not in before.note


def test_new_limits_score_what_one_rule_alone_sees_lower() -> None:
    scores = held_out_scores([1.0, 2.0, 9.0], [0.1, 0.2, 0.9], [False, False, True])
    chosen = choose_limits(scores, 0.02)
    assert chosen.limits.defect_score == "backed"
    assert set_by_hand(scores, Limits(anomaly=3.0, classifier=0.5)).limits.defect_score == "backed"
    # What older bundles say of themselves.
    assert Limits.model_validate({"anomaly": 3.0, "classifier": 0.5}).defect_score == "larger"


def test_enough_photos_meet_the_target_on_new_photos() -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        good = rng.gamma(9.0, 2.0, 500).astype(np.float32)
        limit = choose(good.tolist(), target=0.02).limits.anomaly
        shares.append(np.mean(rng.gamma(9.0, 2.0, 5000) >= limit))
    assert np.mean(shares) <= 0.0205


def test_the_quantile_is_not_one_photo_too_high_by_rounding() -> None:
    """600 * (1 - 0.19) is 486.00000000000006 in floats, and the 486th photo is enough."""
    assert 485.0 < conformal_quantile(np.arange(599.0), 0.19) < 485.001


def test_too_few_photos_are_said_so_and_the_limit_lies_above_all_of_them() -> None:
    good = np.random.default_rng(1).gamma(9.0, 2.0, 40).astype(np.float32).tolist()
    chosen = choose(good, target=0.01)
    origin = chosen.origins.anomaly
    assert chosen.limits.anomaly > max(good)
    assert origin.supported == pytest.approx(1 / 41)
    assert "40 held-out good photos" in origin.note
    assert "hold out 99" in origin.note


def test_one_good_photo_gives_a_limit_just_above_it_and_says_how_little_that_is() -> None:
    chosen = choose([5.0])
    assert 5.0 < chosen.limits.anomaly <= 5.0001 * (0.5 + MARGIN) / (0.5 - MARGIN)
    assert "1 held-out good photos support 50.0%" in chosen.origins.anomaly.note


def test_enough_photos_need_no_note() -> None:
    chosen = choose(np.linspace(1, 2, 400).tolist(), target=0.01)
    assert chosen.origins.anomaly.note == ""
    assert chosen.origins.anomaly.method == "conformal"


@given(good=scores, bad=scores, target=st.floats(0.005, 0.2))
@settings(max_examples=100, deadline=None)
def test_raising_the_anomaly_limit_loses_no_defect_that_the_quantile_catches(good, bad, target) -> None:
    largest_allowed = np.float32(max(good))
    limit = choose(good, bad, target=target).limits.anomaly
    for score in bad:
        if score > np.nextafter(largest_allowed, np.float32(np.inf)):
            assert score >= limit


def test_classifier_limit_lies_in_the_middle_of_the_gap() -> None:
    good = [1.0] * 60
    chosen = choose(good, [5.0] * 10, good_p=[0.01] * 60, bad_p=[0.99] * 10)
    assert chosen.limits.classifier == pytest.approx(0.5, abs=0.01)
    assert chosen.origins.classifier.method == "conformal, moved towards the defects"


def test_classifier_limit_without_a_gap_stays_at_the_quantile() -> None:
    good_p = np.linspace(0.1, 0.9, 400)
    chosen = choose([1.0] * 400, [5.0] * 3, good_p=good_p.tolist(), bad_p=[0.2, 0.3, 0.4], target=0.02)
    assert chosen.limits.classifier == pytest.approx(float(np.quantile(good_p, 0.99)), abs=0.01)


def test_budget_is_split_over_the_two_rules() -> None:
    good = np.linspace(1, 2, 1000).tolist()
    alone = choose(good, target=0.02)
    both = choose(good, good_p=np.linspace(0, 0.5, 1000).tolist(), target=0.02)
    assert alone.origins.anomaly.target == pytest.approx(0.02)
    assert both.origins.anomaly.target == both.origins.classifier.target == pytest.approx(0.01)


@given(good=scores, bad=st.lists(st.floats(0.0078125, 1e6, width=32), max_size=20))
@settings(max_examples=50, deadline=None)
def test_heatmap_colours_begin_just_below_the_limit(good, bad) -> None:
    chosen = choose(good, bad)
    assert 0 < chosen.heatmap.start < chosen.heatmap.limit == chosen.limits.anomaly < chosen.heatmap.top


def test_no_classifier_without_defect_classes() -> None:
    chosen = choose([1.0, 2.0] * 20)
    assert chosen.limits.classifier is None
    assert chosen.origins.classifier is None


def test_a_tail_that_is_not_log_normal_does_not_push_the_limit_out_of_reach() -> None:
    good = [0.0] * 5 + [10.0] * 15
    assert 10.0 < choose(good, target=0.01).limits.anomaly <= 15.0


def test_a_classifier_that_tells_nothing_apart_is_said_so() -> None:
    good = np.random.default_rng(2).gamma(9.0, 2.0, 300).tolist()
    guessed = np.random.default_rng(3).uniform(0.0, 1.0, 330).tolist()
    weak = choose(good, [50.0] * 30, good_p=guessed[:300], bad_p=guessed[300:], target=0.02)
    assert "hardly tells held-out defects" in weak.origins.classifier.note
    able = choose(good, [50.0] * 30, good_p=[0.1] * 300, bad_p=[0.9] * 30, target=0.02)
    assert able.origins.classifier.note == ""


def test_the_one_good_photo_that_holds_a_limit_above_the_defects_is_named() -> None:
    good, bad = [0.01 * n for n in range(20)] + [0.999], [0.6 + 0.01 * n for n in range(20)]
    anomaly = [1.0] * len(good) + [2.0] * len(bad)
    defective = [False] * len(good) + [True] * len(bad)
    names = [f"good/{n}.jpg" for n in range(len(good))] + [f"bad/{n}.jpg" for n in range(len(bad))]
    origins = choose_limits(held_out_scores(anomaly, [*good, *bad], defective, names), 0.01).origins
    assert origins.classifier is not None
    assert "good/20.jpg" in origins.classifier.note
    assert "20 of 20 held-out defects stay below the limit, without it 0" in origins.classifier.note
    assert "good/" not in origins.anomaly.note, "no good photo holds the other limit up"


def test_no_photo_is_named_where_leaving_one_out_would_change_little() -> None:
    good, bad = [1.0 + 0.01 * n for n in range(40)], [1.5 + 0.01 * n for n in range(20)]
    names = [f"{n}.jpg" for n in range(60)]
    origins = choose_limits(
        held_out_scores([*good, *bad], None, [False] * 40 + [True] * 20, names), 0.01
    ).origins
    assert ".jpg" not in origins.anomaly.note
