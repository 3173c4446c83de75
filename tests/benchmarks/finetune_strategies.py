"""What of the classifier should learn: the strategies of `glint train --finetune`, on photos of real parts.

    python -m tests.benchmarks.finetune_strategies DATA --trunk resnet50.safetensors --work DIR

Splits and settings are those of `glint train`. Each run is kept under DIR and is not done again. Writes its
section of docs/accuracy.md.
"""

import json
from pathlib import Path
from statistics import fmean, pstdev
from time import process_time
from typing import Any, get_args

from tests.benchmarks.accuracy_cases import case_parser
from tests.benchmarks.report import machine, table, write_section
from tests.benchmarks.trunks import load_photos, measure_classifier
from training.config import FinetuneConfig, Strategy
from training.data.splits import split_dataset

EVERYTHING = 10_000  # good photos
TEXT = """## What of the classifier learns

The classifier alone by `--finetune`, on test photos of the same splits: image AUROC of 1 - p(clean), and the
share of right classes, each class counting alike; mean and standard deviation over splits, whose number is in
brackets; minutes of one core for the training.

{rows}

{ran} Written by `tests/benchmarks/finetune_strategies.py`.
"""


def main() -> None:
    """Run what is asked for and not there yet, and write the table."""
    parser = case_parser("Compare the strategies of --finetune.")
    parser.add_argument(
        "--strategies", nargs="+", choices=get_args(Strategy), default=list(get_args(Strategy))
    )
    given = parser.parse_args()
    kept = given.work / "strategies"
    kept.mkdir(parents=True, exist_ok=True)
    for name in given.sets:
        todo = [
            (strategy, seed, target)
            for strategy in given.strategies
            for seed in given.seeds
            if not (target := kept / f"{name}-{strategy}-{seed}.json").exists()
        ]
        photos = load_photos(name, given.data, EVERYTHING) if todo else None
        for strategy, seed, target in todo:
            started = process_time()
            split = split_dataset(photos.samples, seed=seed)
            config = FinetuneConfig(strategy=strategy, seed=seed)
            found = measure_classifier(str(given.trunk), photos, split, config)
            minutes = (process_time() - started) / 60
            target.write_text(json.dumps({"set": name, "strategy": strategy, **found, "minutes": minutes}))
            print(target.stem, target.read_text(), flush=True)
    if given.write:
        write(kept)


def write(kept: Path) -> None:
    """Write the table of every result at hand."""
    results: list[dict[str, Any]] = [json.loads(path.read_text()) for path in sorted(kept.glob("*.json"))]
    rows = []
    for name in dict.fromkeys(result["set"] for result in results):
        for strategy in get_args(Strategy):
            own = [r for r in results if (r["set"], r["strategy"]) == (name, strategy)]
            if own:
                cells = [spread([r[figure] for r in own]) for figure in ("image_auroc", "accuracy")]
                minutes = fmean(r["minutes"] for r in own)
                rows.append([name, f"`{strategy}` ({len(own)})", *cells, f"{minutes:.1f}"])
    head = ["photos", "what learns", "AUROC", "right classes", "minutes"]
    text = TEXT.format(rows=table(head, rows), ran=f"{machine()}.")
    write_section("accuracy.md", "finetune strategies", text)


def spread(values: list[float]) -> str:
    """Mean and, of several, standard deviation."""
    return f"{fmean(values):.3f}" + (f" ± {pstdev(values):.3f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
