"""Limits for escapes and for both targets: what is promised, and what the photos can support."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import UsageError
from training.limits import MARGIN, HeldOutScores, held_out_scores
from training.targets import (
    BY_ESCAPES,
    Targets,
    cannot_be_met,
    choose_for,
    meets,
    outcome_of,
    support_of_escapes,
)

scores = st.lists(st.floats(0.0078125, 100.0, width=32), min_size=20, max_size=120)
shares = st.lists(st.floats(0.0, 1.0, width=32), min_size=120, max_size=120)


def of(good, bad, good_p=None, bad_p=None) -> HeldOutScores:
    probabilities = None if good_p is None else [*good_p, *bad_p]
    return held_out_scores([*good, *bad], probabilities, [False] * len(good) + [True] * len(bad))


@given(good=scores, bad=scores, target=st.floats(0.02, 0.3))
@settings(max_examples=60, deadline=None)
def test_no_more_held_out_defects_escape_than_the_target_allows(good, bad, target) -> None:
    seen = of(good, bad)
    chosen = choose_for(seen, Targets(None, target))
    found = outcome_of(seen, chosen.limits)
    assert found.expected_escapes <= max(target, 1.0 / (len(bad) + 1)) + 1e-12
    assert chosen.origins.anomaly.method == BY_ESCAPES


@given(good=scores, bad=scores, p=shares, q=shares, target=st.floats(0.02, 0.3))
@settings(max_examples=60, deadline=None)
def test_the_same_with_both_rules(good, bad, p, q, target) -> None:
    seen = of(good, bad, p[: len(good)], q[: len(bad)])
    found = outcome_of(seen, choose_for(seen, Targets(None, target)).limits)
    assert found.expected_escapes <= max(target, 1.0 / (len(bad) + 1)) + 1e-12


def test_enough_defects_keep_the_target_on_new_ones() -> None:
    rng = np.random.default_rng(0)
    missed = []
    for _ in range(200):
        good, bad = rng.gamma(9.0, 1.0, 200).astype(np.float32), rng.gamma(20.0, 1.0, 300).astype(np.float32)
        limits = choose_for(of(good.tolist(), bad.tolist()), Targets(None, 0.05)).limits
        missed.append(np.mean(rng.gamma(20.0, 1.0, 4000) < limits.anomaly))
    assert 0.03 < np.mean(missed) <= 0.051, "kept, and no more cautious than need be"


def test_two_targets_that_can_be_met_are_met() -> None:
    rng = np.random.default_rng(1)
    seen = of(rng.uniform(1, 2, 400).tolist(), rng.uniform(5, 9, 200).tolist())
    both = Targets(0.02, 0.02)
    assert cannot_be_met(seen, both) == ""
    assert meets(seen, choose_for(seen, both).limits, both)


def test_limits_move_towards_the_defects_that_need_it() -> None:
    """By false rejects alone two defects pass; a lower limit still keeps both targets."""
    good = [*np.linspace(1.0, 2.0, 400).tolist(), 5.0]
    bad = [4.0, 4.5, *np.linspace(6.0, 9.0, 98).tolist()]
    seen = of(good, bad)
    both = Targets(0.01, 0.01)
    assert not meets(seen, choose_for(seen, Targets(0.0026)).limits, both)
    chosen = choose_for(seen, both)
    assert meets(seen, chosen.limits, both)
    assert cannot_be_met(seen, both) == ""


def test_two_targets_that_cannot_be_met_fall_back_on_false_rejects_and_say_so() -> None:
    rng = np.random.default_rng(2)
    seen = of(rng.uniform(1, 3, 300).tolist(), rng.uniform(1, 3, 100).tolist())
    both = Targets(0.02, 0.02)
    chosen = choose_for(seen, both)
    assert outcome_of(seen, chosen.limits).expected_false_rejects <= 0.02
    assert "cannot be met together" in chosen.origins.anomaly.note
    assert "cannot be met together" in cannot_be_met(seen, both)


def test_too_few_defects_are_said_so() -> None:
    assert support_of_escapes(10, 0.02) == (
        "10 held-out defects support 9.1% escapes at best; to prove 2.00%, hold out 49."
    )
    assert support_of_escapes(49, 0.02) == ""
    chosen = choose_for(of([1.0] * 100, [5.0] * 10), Targets(None, 0.02))
    assert "10 held-out defects" in chosen.origins.anomaly.note


def test_one_defect_that_cannot_be_found_costs_what_it_costs() -> None:
    seen = of(np.linspace(1, 2, 100).tolist(), [0.5, *([9.0] * 30)])
    found = outcome_of(seen, choose_for(seen, Targets(None, 0.01)).limits)
    assert (found.passed, found.rejected) == (0, 100)


def test_something_must_be_asked_and_escapes_need_defects() -> None:
    with pytest.raises(UsageError, match="No target"):
        Targets(None, None)
    with pytest.raises(UsageError, match="no held-out photo of a defect"):
        choose_for(of([1.0] * 30, []), Targets(0.01, 0.05))


@pytest.mark.parametrize("off", [-MARGIN, MARGIN])
def test_a_graph_that_is_off_by_the_margin_turns_no_photo_on_which_a_limit_rests(off: float) -> None:
    """Directly above the good photo that sets the limit, every other graph would turn it."""
    seen = of([*np.linspace(1.0, 2.0, 198).tolist(), 3.0], [*([5.0] * 98), 2.5])
    for targets, rests_on in ((Targets(0.01), 2.0), (Targets(None, 0.01), 2.5)):
        limit = choose_for(seen, targets).limits.anomaly
        opinion = rests_on / (rests_on + limit)
        assert (opinion >= 0.5) == (opinion + 0.99 * off >= 0.5)
        assert abs(opinion - 0.5) < 1.02 * MARGIN, "and no farther from it, which would let defects pass"


def test_good_parts_of_no_probability_at_all_leave_a_limit_above_it() -> None:
    """A net that is sure gives good parts just 0: a defect like them must not pull the limit there."""
    good = np.linspace(5.0, 9.0, 60).tolist()
    scores = held_out_scores(
        [*good, 7.0, *[30.0] * 20], [*[0.0] * 60, 0.0, *[0.99] * 20], [False] * 60 + [True] * 21
    )
    limits = choose_for(scores, Targets(None, 0.02)).limits
    assert limits.classifier is not None
    assert 0.0 < limits.classifier < 0.5
    assert limits == type(limits).model_validate(limits.model_dump())
