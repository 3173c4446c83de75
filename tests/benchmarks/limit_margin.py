"""What the margin above the quantile costs in escapes, and which flips it spares, on recorded scores.

.venv/bin/python -m tests.benchmarks.limit_margin BUNDLE... [--target 0.05] [--splits 400]

The held-out photos of each bundle are halved at random, again and again: the anomaly limit is chosen on one
half, with margins of several widths, and counted on the other half. Then the scores of the first half are
changed by chance, normally distributed with three sigma at what fp16 or int8 may be off: in how many halves
does a verdict turn?
"""

import argparse
from pathlib import Path

import numpy as np

from models.bundle import Bundle
from models.decision import CLEAN
from models.scores import read_photo_scores
from models.variants import SCORE_TOLERANCE
from tests.benchmarks.report import table
from training.limits import Flags, HeldOutScores, Scores, conformal_quantile, with_margin

# On the scale 0..1 of the score.
MARGINS = (0.0, 0.0025, 0.005, 0.01)
OTHERS = (SCORE_TOLERANCE["fp16"], SCORE_TOLERANCE["int8"])


def main() -> None:
    parser = argparse.ArgumentParser(description="What the margin of limits costs and spares.")
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--target", type=float, default=0.05, help="Share of false rejects.")
    parser.add_argument("--splits", type=int, default=400)
    given = parser.parse_args()
    rows = [row for path in given.bundles for row in compare(path, given.target, given.splits)]
    heads = [
        "bundle",
        "margin",
        "false rejects",
        "escapes",
        "halves in which fp16 would turn a photo",
        "int8",
    ]
    print(table(heads, rows))


def compare(path: Path, target: float, splits: int) -> list[list[str]]:
    """A row for each margin."""
    bundle = Bundle.open(path)
    photos = [p for p in read_photo_scores(bundle) if p.anomaly is not None]
    scores = np.array([p.anomaly for p in photos], dtype=np.float64)
    bad = np.array([p.label != CLEAN for p in photos], dtype=bool)
    chance = np.random.default_rng(0)
    found: dict[float, list[list[float]]] = {margin: [] for margin in MARGINS}
    for _ in range(splits):
        chosen_on = _half(bad, chance)
        seen = HeldOutScores(scores[chosen_on], None, bad[chosen_on])
        noise = chance.normal(0.0, 1.0 / 3.0, len(seen.anomaly))
        for margin, rows in found.items():
            quantile = conformal_quantile(seen.anomaly[~seen.defective], target)
            limit = with_margin(quantile, seen.anomaly, margin)
            rest = ~chosen_on
            rejected, passed = scores[rest & ~bad] >= limit, scores[rest & bad] < limit
            turned = [_turns(seen.anomaly, limit, off * noise) for off in OTHERS]
            rows.append([float(rejected.mean()), float(passed.mean()), *turned])
    return [
        [bundle.manifest.part, f"{margin:g}", *(f"{100.0 * value:.1f} %" for value in np.mean(rows, axis=0))]
        for margin, rows in found.items()
    ]


def _turns(anomaly: Scores, limit: float, noise: Scores) -> float:
    opinion = anomaly / (anomaly + limit)
    return float(((opinion >= 0.5) != (opinion + noise >= 0.5)).any())


def _half(bad: Flags, chance: np.random.Generator) -> Flags:
    """Half of the good photos and half of the defective ones: bool [N]."""
    chosen = np.zeros(len(bad), dtype=bool)
    for kind in (bad, ~bad):
        places = chance.permutation(np.flatnonzero(kind))
        chosen[places[: len(places) // 2]] = True
    return chosen


if __name__ == "__main__":
    main()
