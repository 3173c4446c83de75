"""The table of drills."""

from tests.drills.table import table_of


def test_a_drill_that_ran_twice_has_one_row_which_is_the_last() -> None:
    row = {"drill": "a", "fault": "disk | full", "provoked": "x", "expected": "y", "seen": "first"}
    text = table_of([row, {**row, "seen": "second"}])
    assert text.count("disk \\| full") == 1
    assert text.endswith("| disk \\| full | x | y | second |")
