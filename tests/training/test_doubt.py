"""How much limits hang on which photos were held out."""

import numpy as np
import pytest

from models.decision import IN_DOUBT, decide
from training.doubt import choose_with_doubt
from training.limits import HeldOutScores, held_out_scores
from training.targets import Targets, choose_for

TARGETS = Targets(0.05)


def drawn(n_good: int, n_bad: int, seed: int = 0, sure: bool = True) -> HeldOutScores:
    rng = np.random.default_rng(seed)
    # Broad, so that ranges are wider than rounding alone makes them.
    good, bad = rng.gamma(4.0, 2.0, n_good), rng.gamma(12.0, 2.0, n_bad)
    likely = (rng.beta(1, 30, n_good), rng.beta(30, 2, n_bad))
    p = np.concatenate(likely).tolist() if sure else None
    return held_out_scores([*good, *bad], p, [False] * n_good + [True] * n_bad)


def width(scores: HeldOutScores) -> float:
    doubt = choose_with_doubt(scores, TARGETS).limits.doubt
    assert doubt is not None
    return doubt.anomaly[1] - doubt.anomaly[0]


def test_the_limits_are_those_without_doubt_and_lie_in_their_ranges() -> None:
    scores = drawn(60, 20)
    found, plain = choose_with_doubt(scores, TARGETS), choose_for(scores, TARGETS)
    assert found.limits.model_copy(update={"doubt": None}) == plain.limits
    assert found.origins == plain.origins
    doubt = found.limits.doubt
    assert doubt is not None
    assert doubt.classifier is not None
    assert found.limits.classifier is not None
    assert doubt.anomaly[0] <= found.limits.anomaly <= doubt.anomaly[1]
    assert doubt.classifier[0] <= found.limits.classifier <= doubt.classifier[1]
    assert choose_with_doubt(scores, TARGETS).limits.doubt == doubt


def test_more_photos_leave_less_doubt() -> None:
    few = np.mean([width(drawn(40, 0, seed, sure=False)) for seed in range(4)])
    many = np.mean([width(drawn(640, 0, seed, sure=False)) for seed in range(4)])
    assert many < 0.5 * few


def test_photos_that_are_alike_leave_as_much_doubt_as_fewer_photos_do() -> None:
    """Ten places of the camera, each with ten good photos alike: ten that stand alone say as much."""
    places = np.random.default_rng(1).gamma(4.0, 2.0, 10)
    values = [value + 1e-6 * n for value in places for n in range(10)]
    grouped = held_out_scores(values, None, [False] * 100, groups=[n // 10 for n in range(100)])
    each_alone = held_out_scores(values, None, [False] * 100)
    of_ten = held_out_scores(places.tolist(), None, [False] * 10)
    assert width(grouped) > 2 * width(each_alone)
    lows = [choose_with_doubt(s, TARGETS).limits.doubt.anomaly[0] for s in (grouped, of_ten)]
    assert lows[0] == pytest.approx(lows[1], rel=0.1)


def test_photos_of_one_group_leave_no_less_doubt_than_photos_that_stand_alone() -> None:
    alone = drawn(60, 0, sure=False)
    together = held_out_scores(alone.anomaly.tolist(), None, [False] * 60, groups=["one place"] * 60)
    assert width(together) >= 0.9 * width(alone)


def test_without_a_classifier_only_the_anomaly_limit_is_in_doubt() -> None:
    limits = choose_with_doubt(drawn(40, 0, sure=False), TARGETS).limits
    assert limits.doubt is not None
    assert limits.doubt.classifier is None


@pytest.mark.parametrize("targets", [Targets(None, 0.1), Targets(0.05, 0.05)])
def test_other_targets_have_ranges_too(targets: Targets) -> None:
    assert choose_with_doubt(drawn(30, 15), targets).limits.doubt is not None


def test_a_verdict_that_another_graph_may_turn_is_in_doubt() -> None:
    """Many photos alike leave hardly any doubt but that of rounding: int8 may be 0.01 of the score off."""
    rng = np.random.default_rng(0)
    scores = held_out_scores(rng.normal(10.0, 0.05, 400).tolist(), None, [False] * 400)
    limits = choose_with_doubt(scores, TARGETS).limits
    for level in (0.491, 0.509):
        decision = decide([1.0], ["clean"], limits.anomaly * level / (1.0 - level), limits)
        assert decision.score == pytest.approx(level)
        assert IN_DOUBT in decision.review_reasons


def test_one_odd_photo_that_sets_a_limit_puts_what_it_hides_in_doubt() -> None:
    """A good photo at 0.9999 hides defects at 0.95 from the classifier: they pass, but not in silence."""
    good = [0.02 * n / 60 for n in range(60)]
    p = [*good, 0.9999, *[0.95] * 20]
    scores = held_out_scores([5.0] * 81, p, [False] * 61 + [True] * 20)
    limits = choose_with_doubt(scores, Targets(0.01)).limits
    hidden = decide([0.05, 0.95], ["clean", "scratched"], 1.0, limits)
    assert hidden.verdict == "clean"
    assert IN_DOUBT in hidden.review_reasons
    plain = decide([0.99, 0.01], ["clean", "scratched"], 1.0, limits)
    assert not plain.needs_review
