"""What a class of defects may be called."""

import pytest

from models.classes import class_problem


@pytest.mark.parametrize("name", ["scratched", "Bent", "2nd-order", "hole_3.5mm", "x" * 64])
def test_names_that_say_what_is_meant(name: str) -> None:
    assert class_problem(name) == ""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("good", "means a good part"),
        ("OK", "means a good part"),
        ("clean", "means a good part"),
        ("anomalous", "reserved"),
        ("Invalid", "reserved"),
        ("masks", "reserved"),
        ("", "letters"),
        ("two words", "letters"),
        ("../up", "letters"),
        ("x" * 65, "letters"),
        ("readme", "passed over"),
        ("notes.txt", "passed over"),
    ],
)
def test_names_that_would_be_read_as_something_else(name: str, why: str) -> None:
    assert why in class_problem(name)
