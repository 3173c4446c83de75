"""Verdicts that hang on where the limits lie: a person looks at those, and the ranges are checked."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.decision import CLEAN, IN_DOUBT, Doubt, Limits, decide

CLASSES = ["clean", "scratched"]

shares = st.floats(0.0, 1.0)


def over_two(defect: float) -> list[float]:
    """Probabilities over `CLASSES` with this much on the defect."""
    return [1.0 - defect, defect]


LIMITS = Limits(
    classifier=0.5, anomaly=10.0, doubt=Doubt(classifier=(0.4, 0.7), anomaly=(9.0, 12.0)), review_band=0.5
)


@pytest.mark.parametrize(
    ("defect", "score", "turns"),
    [
        (0.1, 8.9, False),
        (0.1, 9.0, True),
        (0.1, 11.9, True),
        (0.1, 12.0, False),
        (0.39, 1.0, False),
        (0.45, 1.0, True),
        (0.69, 1.0, True),
        (0.7, 1.0, False),
        # What one rule surely rejects does not hang on the other.
        (0.45, 12.0, False),
        (0.9, 9.5, False),
        (0.45, 9.5, True),
    ],
)
def test_a_verdict_that_hangs_on_where_the_limits_lie_needs_review(
    defect: float, score: float, turns: bool
) -> None:
    decision = decide(over_two(defect), CLASSES, score, LIMITS)
    assert (IN_DOUBT in decision.review_reasons) is turns
    if turns:
        assert decision.needs_review


@given(defect=shares, score=st.floats(0.0, 1e6), low=shares, high=shares)
def test_a_verdict_not_in_doubt_is_the_same_with_every_limit_in_the_range(
    defect: float, score: float, low: float, high: float
) -> None:
    assert LIMITS.doubt is not None
    decision = decide(over_two(defect), CLASSES, score, LIMITS)
    assume(IN_DOUBT not in decision.review_reasons)
    for share, other in ((low, high), (high, low)):
        moved = Limits(classifier=0.4 + 0.3 * share, anomaly=9.0 + 3.0 * other)
        again = decide(over_two(defect), CLASSES, score, moved)
        assert (again.verdict == CLEAN) == (decision.verdict == CLEAN)


@pytest.mark.parametrize(
    "doubt",
    [
        {"anomaly": (10.1, 12.0), "classifier": (0.4, 0.7)},
        {"anomaly": (9.0, 9.9), "classifier": (0.4, 0.7)},
        {"anomaly": (9.0, 12.0), "classifier": (0.51, 0.7)},
        {"anomaly": (9.0, 12.0), "classifier": (math.nan, 0.7)},
        {"anomaly": (9.0, 12.0)},
        {"anomaly": (9.0, math.inf), "classifier": (0.4, 0.7)},
        {"anomaly": (-1.0, 12.0), "classifier": (0.4, 0.7)},
        {"anomaly": (9.0, 12.0), "classifier": (0.4, 1.7)},
    ],
)
def test_a_range_that_does_not_hold_its_limit_is_refused(doubt: dict[str, tuple[float, float]]) -> None:
    with pytest.raises(ValidationError):
        Limits(classifier=0.5, anomaly=10.0, doubt=Doubt(**doubt))
