"""How well the score of an answer ranks photos, by what a defect that one rule sees scores.

    python -m tests.benchmarks.fusion BUNDLE...

Limits are chosen again from the calibration scores that each bundle keeps, at 1 % false rejects; test photos
are ranked. The verdicts are the same whatever the score. Writes its section of docs/accuracy.md.
"""

import argparse
from collections import defaultdict
from pathlib import Path
from statistics import fmean

import numpy as np

from models.bundle import Bundle
from models.decision import CLEAN, combined_score
from models.scores import read_photo_scores
from tests.benchmarks.report import table, write_section
from training.doubt import choose_with_doubt
from training.metrics import auroc
from training.recorded import groups_of, held_out
from training.sign_off import recall_at
from training.targets import Targets

HEAD = ["set", "bundles", "classifier", "PaDiM", "the larger opinion", "backed by the other"]
TEXT = """## What a defect scores that one rule alone sees

AUROC of each opinion and of the score over the test photos of bundles, in brackets the recall at 1 % false
rejects; means over the bundles of a set. Where a rule fires, the score was the larger opinion; now it counts
in full only where the other rule is sure as well (`combined_score`). Verdicts are the same. The form was
chosen on these photos, so the gain is a little flattered.

{rows}

Written by `tests/benchmarks/fusion.py`.
"""


def main() -> None:
    """Rank, print and write."""
    parser = argparse.ArgumentParser(description="Compare what the score of an answer ranks by.")
    parser.add_argument("bundles", type=Path, nargs="+", help="bundles/<part>/<version>")
    parser.add_argument("--no-write", dest="write", action="store_false", help="Leave docs/ as it is.")
    given = parser.parse_args()
    by_set: dict[str, list[list[tuple[float, float]]]] = defaultdict(list)
    for path in given.bundles:
        bundle = Bundle.open(path)
        figures = figures_of(bundle)
        by_set[bundle.manifest.part].append(figures)
        print(path, *(f"{area:.4f} ({recall:.2f})" for area, recall in figures), flush=True)
    rows = []
    for name, runs in sorted(by_set.items()):
        means = [tuple(map(fmean, zip(*column, strict=True))) for column in zip(*runs, strict=True)]
        rows.append([name, str(len(runs)), *(f"{area:.3f} ({recall:.2f})" for area, recall in means)])
    text = TEXT.format(rows=table(HEAD, rows))
    print(text)
    if given.write:
        write_section("accuracy.md", "fusion", text)


def figures_of(bundle: Bundle) -> list[tuple[float, float]]:
    """Of classifier, PaDiM and both fusions: AUROC, and recall at 1 % false rejects."""
    photos = [(photo, photo.anomaly) for photo in read_photo_scores(bundle) if photo.anomaly is not None]
    scores = held_out((photo for photo, _ in photos), bundle.manifest.classes, groups_of(bundle))
    backed = choose_with_doubt(scores, Targets(0.01)).limits
    larger = backed.model_copy(update={"defect_score": "larger"})
    test = [(photo, anomaly) for photo, anomaly in photos if photo.split == "test"]
    probabilities = [min(1.0, max(0.0, 1.0 - photo.probabilities[0])) for photo, _ in test]
    anomalies = [anomaly for _, anomaly in test]
    fused = [
        [combined_score(a, p, limits) for a, p in zip(anomalies, probabilities, strict=True)]
        for limits in (larger, backed)
    ]
    defective = [photo.label != CLEAN for photo, _ in test]
    figures = []
    for ranked in (probabilities, anomalies, *fused):
        area = auroc(ranked, defective)
        found = recall_at(np.array(ranked), np.array(defective), range(len(ranked)), 0.01)
        if area is None or found is None:
            raise SystemExit(f"{bundle.path} keeps no scores of good and of defective test photos.")
        figures.append((area, found.recall))
    return figures


if __name__ == "__main__":
    main()
