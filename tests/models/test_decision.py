"""The decision rule: one pure function, in which a fault is never a pass."""

import math
from typing import get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.decision import (
    ANOMALOUS,
    CLEAN,
    INVALID,
    DefectScore,
    Limits,
    Typical,
    anomaly_opinion,
    classifier_opinion,
    combined_score,
    decide,
    typical_part,
)

CLASSES = ["clean", "scratched", "bent"]
LIMITS = Limits(classifier=0.3, anomaly=10.0)

shares = st.floats(0.0, 1.0)
scores = st.floats(0.0, 1e308)
any_limits = st.builds(
    Limits,
    classifier=st.floats(0.0, 1.0, exclude_min=True),
    anomaly=st.floats(0.0, 1e308, exclude_min=True),
    typical=st.none() | st.builds(Typical, classifier=st.none() | shares, anomaly=scores),
    defect_score=st.sampled_from(get_args(DefectScore)),
)


def over_three(defect: float, share: float = 0.5) -> list[float]:
    """Probabilities over `CLASSES` with this much on the defects."""
    return [1.0 - defect, defect * share, defect * (1.0 - share)]


@given(defect=shares, share=shares, score=scores, limits=any_limits)
def test_the_score_is_at_least_a_half_exactly_when_the_verdict_is_a_defect(
    defect: float, share: float, score: float, limits: Limits
) -> None:
    decision = decide(over_three(defect, share), CLASSES, score, limits)
    assert decision.verdict != INVALID
    assert decision.score is not None
    assert 0.0 <= decision.score <= 1.0
    assert (decision.score >= 0.5) == (decision.verdict != CLEAN) == bool(decision.rules)


@given(limits=any_limits, low=shares, high=shares)
def test_the_classifiers_opinion_rises(limits: Limits, low: float, high: float) -> None:
    assume(low <= high)
    assert limits.classifier is not None
    typical = typical_part(limits)
    assert classifier_opinion(low, limits.classifier, typical) <= classifier_opinion(
        high, limits.classifier, typical
    )


def test_a_typical_good_part_is_the_same_to_both_rules() -> None:
    limits = Limits(classifier=0.8, anomaly=10.0, typical=Typical(classifier=0.02, anomaly=7.0))
    typical = typical_part(limits)
    assert classifier_opinion(0.02, 0.8, typical) == anomaly_opinion(7.0, 10.0)
    assert classifier_opinion(0.0, 0.8, typical) == 0.0


def test_two_opinions_below_their_limits_say_more_than_one() -> None:
    limits = Limits(classifier=0.8, anomaly=10.0, typical=Typical(classifier=0.02, anomaly=7.0))
    typical = typical_part(limits)
    half_way = 0.5 * (0.02 + 0.8)
    one, other, both = (
        combined_score(score, p, limits) for score, p in ((9.0, 0.02), (7.0, half_way), (9.0, half_way))
    )
    assert one == pytest.approx(anomaly_opinion(9.0, 10.0))
    assert other == pytest.approx(classifier_opinion(half_way, 0.8, typical))
    assert max(one, other) < both < 0.5
    # Half the room is left by one of them, so that half of what is left by the other is.
    assert 0.5 - both == pytest.approx(0.5 * (0.5 - one))
    # A part that looks cleaner than most to the classifier takes nothing back from what PaDiM sees.
    assert combined_score(9.0, 0.0, limits) == one
    # Where a rule fires, the larger opinion is the score.
    assert combined_score(12.0, half_way, limits) == anomaly_opinion(12.0, 10.0)
    assert combined_score(12.0, None, limits) == anomaly_opinion(12.0, 10.0)


def test_a_defect_that_only_one_rule_sees_scores_lower_than_one_that_both_do() -> None:
    limits = Limits(
        classifier=0.8, anomaly=10.0, typical=Typical(classifier=0.02, anomaly=7.0), defect_score="backed"
    )
    alone, leaning, both, sure = (combined_score(30.0, p, limits) for p in (0.02, 0.5, 0.85, 1.0))
    assert 0.5 < alone < leaning < both < sure
    assert alone == pytest.approx(0.5 + (anomaly_opinion(30.0, 10.0) - 0.5) / 3)
    opinion = typical_part(limits)[1]
    assert sure == pytest.approx(0.5 + 0.5 * (1 + 2 * (0.75 - opinion) / (1 - opinion)) / 3)
    # Whatever is less than typical says no more, so that rounding there does not move the score.
    assert combined_score(30.0, 0.0, limits) == combined_score(30.0, 1e-7, limits) == alone
    # It goes over into what scores below the limits without a leap.
    assert combined_score(10.0, 0.02, limits) == 0.5
    assert combined_score(9.999, 0.02, limits) == pytest.approx(0.5, abs=1e-3)
    assert combined_score(12.0, None, limits) == anomaly_opinion(12.0, 10.0)


def test_the_fixed_review_band_is_on_each_rules_own_scale() -> None:
    limits = Limits(classifier=0.5, anomaly=12.0, typical=Typical(classifier=0.002, anomaly=10.0))
    compressed = decide([0.61, 0.39, 0.0], CLASSES, 10.0, limits)
    assert compressed.score is not None
    assert 0.48 < compressed.score < 0.5
    assert compressed.needs_review is False
    assert decide([0.505, 0.495, 0.0], CLASSES, 10.0, limits).needs_review


def test_without_a_typical_part_the_larger_opinion_is_the_score() -> None:
    limits = Limits(classifier=0.8, anomaly=10.0)
    assert combined_score(9.0, 0.4, limits) == max(anomaly_opinion(9.0, 10.0), classifier_opinion(0.4, 0.8))


@pytest.mark.parametrize(
    "typical",
    [
        None,
        Typical(anomaly=7.0),
        Typical(classifier=0.9, anomaly=7.0),
        Typical(classifier=0.02, anomaly=10.0),
    ],
)
def test_without_a_typical_part_below_both_limits_probabilities_count_straight(
    typical: Typical | None,
) -> None:
    assert typical_part(Limits(classifier=0.8, anomaly=10.0, typical=typical)) == (0.0, 0.0)
    assert classifier_opinion(0.2, 0.8) == 0.125


@given(limit=st.floats(0.0, 1e308, exclude_min=True), low=scores, high=scores)
def test_the_anomaly_opinion_rises(limit: float, low: float, high: float) -> None:
    assume(low <= high)
    assert anomaly_opinion(low, limit) <= anomaly_opinion(high, limit)


@given(a=shares, b=shares, first=scores, second=scores, limits=any_limits)
def test_a_photo_that_is_worse_in_both_opinions_scores_no_lower(
    a: float, b: float, first: float, second: float, limits: Limits
) -> None:
    better = decide(over_three(min(a, b)), CLASSES, min(first, second), limits)
    worse = decide(over_three(max(a, b)), CLASSES, max(first, second), limits)
    assert better.score is not None
    assert worse.score is not None
    assert better.score <= worse.score


@given(limits=any_limits)
def test_a_tie_with_the_anomaly_limit_is_a_defect(limits: Limits) -> None:
    decision = decide([1.0, 0.0, 0.0], CLASSES, limits.anomaly, limits)
    assert decision.verdict == ANOMALOUS
    assert decision.score == 0.5
    just_below = math.nextafter(limits.anomaly, 0.0)
    below = decide([1.0, 0.0, 0.0], CLASSES, just_below, limits)
    assert below.verdict == CLEAN
    assert below.score is not None
    assert below.score < 0.5


@pytest.mark.parametrize("limit", [1.0, 0.75, 0.5, 2.0**-20])
def test_a_tie_with_the_classifiers_limit_is_a_defect(limit: float) -> None:
    limits = Limits(classifier=limit, anomaly=10.0)
    decision = decide([1.0 - limit, limit, 0.0], CLASSES, 0.0, limits)
    assert decision.verdict == "scratched"
    assert decision.rules == ("classifier",)
    assert decide([1.0, 0.0, 0.0], CLASSES, 0.0, limits).verdict == CLEAN


def test_the_likeliest_defect_class_names_the_defect_even_if_clean_is_likelier() -> None:
    decision = decide([0.6, 0.1, 0.3], CLASSES, 0.0, LIMITS)
    assert decision.verdict == "bent"
    assert decision.defect_probability == pytest.approx(0.4)


def test_the_classifiers_word_goes_before_the_anomaly() -> None:
    decision = decide([0.1, 0.8, 0.1], CLASSES, 99.0, LIMITS)
    assert (decision.verdict, decision.rules) == ("scratched", ("classifier", "anomaly"))
    assert not decision.needs_review


@given(defect=shares, score=st.floats(0.0, 9.99))
def test_without_a_limit_or_without_defect_classes_the_classifier_never_fires(
    defect: float, score: float
) -> None:
    no_limit = decide(over_three(defect), CLASSES, score, Limits(anomaly=10.0))
    assert (no_limit.verdict, no_limit.rules, no_limit.defect_probability) == (CLEAN, (), None)
    alone = decide([1.0], [CLEAN], score, LIMITS)
    assert (alone.verdict, alone.rules, alone.defect_probability) == (CLEAN, (), None)


@pytest.mark.parametrize(
    ("probabilities", "score"),
    [
        ([math.nan, 0.5, 0.5], 1.0),
        ([1.0, 0.0, math.inf], 1.0),
        ([1.0, 0.0, 0.0], math.nan),
        ([1.0, 0.0, 0.0], math.inf),
        ([1.0, 0.0, 0.0], -0.001),
        ([1.2, -0.1, -0.1], 1.0),
        ([0.5, 0.2, 0.2], 1.0),
        ([0.6, 0.3, 0.2], 1.0),
        ([0.0, 0.0, 0.0], 1.0),
    ],
)
def test_outputs_that_cannot_be_trusted_are_invalid_never_clean(
    probabilities: list[float], score: float
) -> None:
    decision = decide(probabilities, CLASSES, score, LIMITS)
    assert (decision.verdict, decision.score, decision.rules) == (INVALID, None, ())
    assert decision.needs_review
    assert decision.review_reasons


@given(st.lists(st.floats(), min_size=3, max_size=3), st.floats())
def test_any_numbers_at_all_give_a_verdict_and_clean_only_for_good_ones(
    probabilities: list[float], score: float
) -> None:
    decision = decide(probabilities, CLASSES, score, LIMITS)
    if decision.verdict == CLEAN:
        assert 1.0 - probabilities[0] < 0.3
        assert 0.0 <= score < 10.0


@pytest.mark.parametrize(
    ("probabilities", "classes"),
    [([1.0], CLASSES), ([0.5, 0.5], ["scratched", "clean"]), ([], []), ([1.0, 0.0], ["clean"])],
)
def test_probabilities_that_do_not_match_the_classes_are_a_programming_error(
    probabilities: list[float], classes: list[str]
) -> None:
    with pytest.raises(ValueError, match="clean"):
        decide(probabilities, classes, 1.0, LIMITS)


def test_a_person_looks_near_the_limit_and_where_the_opinions_differ() -> None:
    near = decide([1.0, 0.0, 0.0], CLASSES, 9.5, LIMITS)
    assert (near.verdict, near.needs_review) == (CLEAN, True)
    differ = decide([1.0, 0.0, 0.0], CLASSES, 90.0, LIMITS)
    assert differ.review_reasons == ("only the anomaly rule fired",)
    far = decide([1.0, 0.0, 0.0], CLASSES, 1.0, LIMITS)
    assert (far.verdict, far.needs_review) == (CLEAN, False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"anomaly": 0.0},
        {"anomaly": math.inf},
        {"anomaly": math.nan},
        {"anomaly": 1.0, "classifier": 0.0},
        {"anomaly": 1.0, "classifier": 1.01},
        {"anomaly": 1.0, "classifier": math.nan},
    ],
)
def test_limits_that_would_never_or_always_fire_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Limits(**wrong)


def test_a_clean_verdict_with_a_defect_class_in_the_lead_needs_review() -> None:
    limits = Limits(classifier=0.76, anomaly=10.0)
    decision = decide([0.34, 0.43, 0.23], ["clean", "scratch", "bent"], 1.0, limits)
    assert decision.verdict == "clean"
    assert decision.needs_review
    assert "more probable than clean" in decision.review_reasons[0]
