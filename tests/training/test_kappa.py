"""Agreement beyond chance, against values from the literature and reckoned by hand."""

import pytest

from models.intervals import share
from training.gauge.kappa import cohens_kappa, fleiss_kappa, grade


@pytest.mark.parametrize(
    ("table", "kappa"),
    [
        ([[44, 6], [3, 97]], 0.86),  # appraisers A and B
        ([[45, 5], [3, 97]], 0.88),  # A and the reference
        ([[45, 2], [3, 100]], 0.92),  # B and the reference
        ([[42, 9], [6, 93]], 0.77),  # C and the reference
    ],
)
def test_cohens_kappa_of_the_example_in_aiags_manual(table: list[list[int]], kappa: float) -> None:
    """50 parts, three appraisers, three trials: Measurement Systems Analysis, 4th edition, from page 134."""
    assert cohens_kappa(table) == pytest.approx(kappa, abs=0.005)


def test_cohens_kappa_by_hand_with_a_category_that_the_standard_never_gives() -> None:
    # Observed (6 + 1) / 10; by chance (7 * 6 + 3 * 2 + 0 * 2) / 100.
    assert cohens_kappa([[6, 1, 0], [0, 1, 2], [0, 0, 0]]) == pytest.approx((0.70 - 0.48) / 0.52)


def test_the_interval_of_an_effectiveness_is_that_of_aiags_example() -> None:
    found = share(42, 50)
    assert (found.low, found.high) == (pytest.approx(0.71, abs=0.005), pytest.approx(0.93, abs=0.005))


def test_fleiss_kappa_of_fourteen_raters_and_ten_subjects() -> None:
    """The worked example that is handed on with Fleiss' formula: 0.210."""
    counts = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
    assert fleiss_kappa(counts) == pytest.approx(0.210, abs=0.0005)


def test_fleiss_kappa_by_hand() -> None:
    # Pairs that agree: 1, 0, 1, 1 of 1; shares 5/8 and 3/8.
    assert fleiss_kappa([[2, 0], [1, 1], [0, 2], [2, 0]]) == pytest.approx((0.75 - 0.53125) / 0.46875)


def test_fleiss_kappa_by_hand_with_more_repeats_of_one_part() -> None:
    # Pairs that agree: 1 of 1, 1 of 3; shares (1 + 1/3) / 2 and (0 + 2/3) / 2.
    assert fleiss_kappa([[2, 0], [1, 2]]) == pytest.approx((2 / 3 - 5 / 9) / (4 / 9))


def test_full_agreement_on_parts_of_both_kinds_is_one() -> None:
    assert fleiss_kappa([[5, 0, 0], [0, 5, 0], [5, 0, 0]]) == pytest.approx(1.0)
    assert cohens_kappa([[7, 0], [0, 3]]) == pytest.approx(1.0)


def test_less_agreement_than_by_chance_is_below_nought() -> None:
    assert cohens_kappa([[0, 5], [5, 0]]) == pytest.approx(-1.0)
    assert fleiss_kappa([[1, 1], [1, 1]]) == pytest.approx(-1.0)


def test_where_one_outcome_is_all_there_is_kappa_is_not_defined() -> None:
    assert fleiss_kappa([[5, 0], [5, 0]]) is None
    assert cohens_kappa([[9, 0], [0, 0]]) is None
    assert fleiss_kappa([]) is None
    assert cohens_kappa([[0, 0], [0, 0]]) is None


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="two repeats"):
        fleiss_kappa([[1, 0], [2, 0]])
    with pytest.raises(ValueError, match="not negative"):
        fleiss_kappa([[3, -1]])
    with pytest.raises(ValueError, match="not square"):
        cohens_kappa([[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("kappa", "word"), [(0.93, "good"), (0.75, "fair"), (0.4, "fair"), (0.39, "poor"), (-0.2, "poor")]
)
def test_the_rule_of_thumb(kappa: float, word: str) -> None:
    assert grade(kappa) == word
