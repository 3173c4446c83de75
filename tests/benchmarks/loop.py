"""What the loop brings: a bundle that never saw a class of defects, against the next, of reviewed photos.

    python -m tests.benchmarks.loop --data ../shared/data/metal_nut --trunk ../shared/weights/FILE

A bundle is trained on the photos without one class, and serves. All photos but those held out are posted
and reviewed by a script that knows the truth; `glint dataset from-archive` and `glint train` make the next
bundle, which is activated while the service runs. Photos that neither bundle has seen are posted before and
after. With three turns each photo of the class is held out once. Writes its table into docs/review.md.
"""

import argparse
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from models.decision import CLEAN, INVALID
from tests.benchmarks.loop_steps import (
    OPINIONS,
    Answered,
    Photo,
    Reviewing,
    activate,
    export,
    lay_out,
    photos_of,
    post_all,
    review_all,
    train,
)
from tests.benchmarks.report import machine, table, write_section
from tests.service.live import serving
from training.metrics import rate_interval

TURNS = 3
EVERY_NTH_GOOD = 5


@dataclass(frozen=True)
class Turn:
    """One way round the loop: the new bundle, the answers on what was held out, and what lay between."""

    bundle: Path
    before: list[Answered]
    after: list[Answered]
    posted: int
    invalid: int
    reviewing: Reviewing
    compared: list[str]


def held_out(photos: dict[str, list[Photo]], new: str, turn: int) -> list[Photo]:
    """A third of the new class, another each turn; a third of other defects, a fifth of the good."""
    chosen = []
    for label, own in photos.items():
        if label == new:
            chosen += own[turn::TURNS]
        else:
            chosen += own[:: EVERY_NTH_GOOD if label == CLEAN else TURNS]
    return chosen


def first_bundle(photos: dict[str, list[Photo]], new: str, folder: Path, options: Sequence[object]) -> Path:
    """A bundle made without the class `new`, and without what is held out."""
    aside = held_out(photos, new, 0)
    known = [photo for label, own in photos.items() if label != new for photo in own if photo not in aside]
    bundle, _ = train(lay_out(known, folder / "first"), folder / "bundles", *options)
    return bundle


def go_round(
    bundle: Path, line: Sequence[Photo], aside: Sequence[Photo], folder: Path, options: Sequence[object]
) -> Turn:
    """Serve, post, review, export, train, activate; answers on the photos held out before and after."""
    bundles, archive = folder / "bundles", folder / "archive"
    shutil.copytree(bundle, bundles / bundle.parent.name / bundle.name)
    with serving(bundles, archive=archive, environment={"GLINT_REVIEW_SAMPLE": "1"}) as live:
        posted = post_all(live, line)
        reviewing = review_all(live, posted)
        made, said = train(export(archive, folder / "reviewed"), bundles, *options)
        before = post_all(live, aside)
        activate(live, made)
        after = post_all(live, aside)
    # The console's lines of the comparison: its head, and what is indented below it.
    lines = said.splitlines()
    heads = [n for n, text in enumerate(lines) if text.startswith(("Compared with", "Not compared"))]
    compared = [text for n in heads for text in (lines[n], *_indented(lines[n + 1 :]))]
    invalid = sum(each.verdict == INVALID for each in posted)
    return Turn(
        bundle=made,
        before=before,
        after=after,
        posted=len(posted),
        invalid=invalid,
        reviewing=reviewing,
        compared=compared,
    )


def _indented(lines: Sequence[str]) -> list[str]:
    end = next((n for n, text in enumerate(lines) if not text.startswith("  ")), len(lines))
    return [text.strip() for text in lines[:end]]


def report(turns: Sequence[Turn], data: str, new: str) -> str:
    """The section of the page."""
    labels = sorted({each.photo.label for each in turns[0].before}, key=lambda x: (x != new, x == CLEAN, x))
    answers = ([turn.before for turn in turns], [turn.after for turn in turns])
    rows = []
    for label in labels:
        for opinion in OPINIONS:
            what = "rejected" if label == CLEAN else "passed"
            counts = [_count(each, label, partial(_mistaken, opinion)) for each in answers]
            rows.append([f"{label}: {what}", opinion, *counts])
        if label != CLEAN:
            rows.append([f"{label}: named so", "", *(_count(each, label, _named) for each in answers)])
    head = ("held-out photos", "by", "before: never saw the class", "after the loop")
    compared = "\n".join(f"- {' '.join(turn.compared)}" for turn in turns)
    return (
        f"## The loop on real parts: `{new}`\n\n{_how(turns, data, new)}\n\n{table(head, rows)}\n\n"
        f"What `glint train` said of its bundle against the first:\n\n{compared}"
    )


def _how(turns: Sequence[Turn], data: str, new: str) -> str:
    """How it was measured, in words."""
    judged = sum(sum(turn.reviewing.decisions.values()) for turn in turns)
    overruled = sum(turn.reviewing.decisions["overrule"] for turn in turns)
    invalid = sum(turn.invalid for turn in turns)
    posted = " or ".join(sorted({str(turn.posted) for turn in turns}))
    return f"""\
{data}, on {machine()}. Written by `tests/benchmarks/loop.py`. The first bundle was
trained without `{new}`. In each of {len(turns)} turns it served with every clean part in the sample;
{posted} photos were posted, those that it was trained on among them, and judged by a script that
knows the truth; the next bundle was trained on the export and activated while the service ran. Held out were
a third of `{new}`, another in each turn, a third of other defects and a fifth of the good parts.
Of {judged} judgements {overruled} overruled the service; {invalid} photos were
outside the quality gate, so they were neither judged nor exported. In brackets the 95 % interval, where each
photo counts once."""


def _mistaken(opinion: str, each: Answered) -> bool:
    return each.rejected_by(opinion) == (each.photo.label == CLEAN)


def _named(each: Answered) -> bool:
    return each.verdict == each.photo.label


def _count(turns: Sequence[Sequence[Answered]], label: str, counts: Callable[[Answered], bool]) -> str:
    """How many photos of a class something is true of, over the turns."""
    given = Counter(
        (each.photo.path, counts(each)) for turn in turns for each in turn if each.photo.label == label
    )
    photos = len({path for path, _ in given})
    # One bundle says the same each turn: its photos count once. Several bundles may differ.
    if len(given) == photos:
        found = sum(true for _, true in given)
        interval = rate_interval(found, photos)
        return f"{found} of {photos} ({interval.low:.0%} to {interval.high:.0%})"
    found = sum(number for (_, true), number in given.items() if true)
    return f"{found} of {given.total()} ({photos} photos, {len(turns)} bundles)"


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="class folders, `good` among them")
    parser.add_argument("--new", default="bent", help="the class that the first bundle never sees")
    parser.add_argument("--trunk", default="auto", help="as of `glint train`")
    parser.add_argument("--epochs", type=int, default=20, help="as of `glint train`")
    parser.add_argument("--turns", type=int, default=TURNS, choices=range(1, TURNS + 1))
    parser.add_argument("--no-write", action="store_true", help="leave docs/review.md as it is")
    return parser.parse_args()


def main() -> None:
    """Measure and write."""
    given = arguments()
    options = ("--trunk", given.trunk, "--epochs", given.epochs, "--no-int8")
    photos = photos_of(given.data)
    turns = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = first_bundle(photos, given.new, folder, options)
        for number in range(given.turns):
            aside = held_out(photos, given.new, number)
            kept = set(aside)
            line = [photo for own in photos.values() for photo in own if photo not in kept]
            turns.append(go_round(bundle, line, aside, folder / str(number), options))
            text = report(turns, given.data.name, given.new)
            print(text, flush=True)
            if not given.no_write:
                write_section("review.md", f"loop {given.new}", text)


if __name__ == "__main__":
    main()
