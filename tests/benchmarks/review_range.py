"""Which verdicts a person is asked to look at: by the range the limits lie in, and by a fixed band.

    python -m tests.benchmarks.review_range BUNDLE...

Limits and ranges are chosen again from the calibration scores that each bundle keeps, at 1 % false rejects;
counted are its test photos. Writes its table into docs/limits.md.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from models.bundle import Bundle
from models.decision import CLEAN, IN_DOUBT, NEAR_LIMIT, Limits, decide
from models.scores import PhotoScores, read_photo_scores
from tests.benchmarks.report import table, write_section
from training.doubt import choose_with_doubt
from training.recorded import groups_of, held_out
from training.targets import Targets


def main() -> None:
    """Count, print and write."""
    parser = argparse.ArgumentParser(description="Which verdicts are sent to a person.")
    parser.add_argument("bundles", type=Path, nargs="+", help="bundles/<part>/<version>")
    parser.add_argument("--no-write", dest="write", action="store_false", help="Leave docs/ as it is.")
    given = parser.parse_args()
    rows = [row for path in given.bundles for row in rows_of(Bundle.open(path))]
    head = [
        "part",
        "a person looks at",
        "escapes",
        "good parts passed",
        "good parts rejected",
        "defects caught",
    ]
    text = table(head, rows)
    print(text)
    if given.write:
        write_section("limits.md", "review range", text)


def rows_of(bundle: Bundle) -> list[list[str]]:
    """A row for the fixed band, and one for the range."""
    classes = bundle.manifest.classes
    photos = [photo for photo in read_photo_scores(bundle) if photo.anomaly is not None]
    limits = choose_with_doubt(held_out(photos, classes, groups_of(bundle)), Targets(0.01)).limits
    test = [photo for photo in photos if photo.split == "test"]
    band = limits.model_copy(update={"doubt": None})
    ways = ((f"score within {limits.review_band:g} of 0.5", band), ("limits in doubt", limits))
    return [[bundle.manifest.part, name, *counts(test, classes, chosen)] for name, chosen in ways]


def counts(test: Sequence[PhotoScores], classes: Sequence[str], limits: Limits) -> list[str]:
    """Of the photos of each outcome, how many are near the limit."""
    found: dict[tuple[bool, bool], list[bool]] = {}
    for photo in test:
        assert photo.anomaly is not None
        decision = decide(photo.probabilities, classes, photo.anomaly, limits)
        outcome = (photo.label != CLEAN, decision.verdict == CLEAN)
        found.setdefault(outcome, []).append(not {NEAR_LIMIT, IN_DOUBT}.isdisjoint(decision.review_reasons))
    order = ((True, True), (False, True), (False, False), (True, False))
    return [f"{sum(found.get(each, []))} of {len(found.get(each, []))}" for each in order]


if __name__ == "__main__":
    main()
