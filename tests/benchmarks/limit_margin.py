"""What the margin above the quantile costs in escapes, and which flips it spares, on recorded scores.

.venv/bin/python -m tests.benchmarks.limit_margin BUNDLE... [--target 0.05] [--splits 400]

The held-out photos of each bundle are halved at random, again and again: the anomaly limit is chosen on one
half, directly above the quantile and with the margin, and both are counted on the other half. A photo of the
first half whose score is within 0.005 of the limit is one that int8, which may be off by 0.01, turns easily.
"""

import argparse
from pathlib import Path

import numpy as np

from models.bundle import Bundle
from models.decision import CLEAN
from models.scores import read_photo_scores
from models.variants import SCORE_TOLERANCE
from tests.benchmarks.report import table
from training.limits import HeldOutScores, choose_limits, conformal_quantile

_OFF = max(SCORE_TOLERANCE.values())


def main() -> None:
    parser = argparse.ArgumentParser(description="What the margin of limits costs and spares.")
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--target", type=float, default=0.05, help="Share of false rejects.")
    parser.add_argument("--splits", type=int, default=400)
    given = parser.parse_args()
    rows = [row for path in given.bundles for row in compare(path, given.target, given.splits)]
    print(table(["bundle", "limit", "false rejects", "escapes", "halves with a photo that can turn"], rows))


def compare(path: Path, target: float, splits: int) -> list[list[str]]:
    """A row for the bare quantile and one for the limit with its margin."""
    photos = [p for p in read_photo_scores(Bundle.open(path)) if p.anomaly is not None]
    scores = np.array([p.anomaly for p in photos], dtype=np.float64)
    bad = np.array([p.label != CLEAN for p in photos], dtype=bool)
    chance = np.random.default_rng(0)
    found: dict[str, list[tuple[float, float, bool]]] = {"bare quantile": [], "with margin": []}
    for _ in range(splits):
        chosen_on = _half(bad, chance)
        seen = HeldOutScores(scores[chosen_on], None, bad[chosen_on])
        limits = {
            "bare quantile": conformal_quantile(seen.anomaly[~seen.defective], target),
            "with margin": choose_limits(seen, target).limits.anomaly,
        }
        for name, limit in limits.items():
            rest = ~chosen_on
            rejected = scores[rest & ~bad] >= limit
            passed = scores[rest & bad] < limit
            doubtful = np.abs(seen.anomaly / (seen.anomaly + limit) - 0.5).min() < 0.5 * _OFF
            found[name].append((float(rejected.mean()), float(passed.mean()), bool(doubtful)))
    part = Bundle.open(path).manifest.part
    return [
        [part, name, *(f"{100.0 * value:.2f} %" for value in np.mean(rows, axis=0))]
        for name, rows in found.items()
    ]


def _half(bad: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Half of the good photos and half of the defective ones: bool [N]."""
    chosen = np.zeros(len(bad), dtype=bool)
    for kind in (bad, ~bad):
        places = chance.permutation(np.flatnonzero(kind))
        chosen[places[: len(places) // 2]] = True
    return chosen


if __name__ == "__main__":
    main()
