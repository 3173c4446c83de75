"""What PaDiM could be made of, choice by choice: image AUROC on every set, over several splits.

    python -m tests.benchmarks.padim_choices ../shared/data --trunk ../shared/weights/FILE --work DIR

The trunk runs once over each set; its layers are kept under DIR (4 GB) and so are the results, so that a run
that was broken off goes on. Splits, photos and sizes are those of `tests.benchmarks.accuracy`. Each choice
changes one thing in the defaults. Writes its table into docs/accuracy.md.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean, pstdev

import numpy as np
import torch

from models.decision import CLEAN
from models.networks.padim_config import RIDGE, PadimConfig
from models.networks.resnet import build_resnet50
from tests.benchmarks.accuracy_cases import SETS, Case, case_parser, read_case
from tests.benchmarks.padim_variants import FITS, READINGS, Fit, distances, score
from tests.benchmarks.report import machine, table, write_section
from training.images import load_images
from training.metrics import auroc
from training.trunk import load_trunk

BATCH = 8
DEFAULT = "the defaults"


class Features:
    """The trunk's layers of every photo of a set, float16 on disk, and who is where in them."""

    def __init__(self, case: Case, trunk: Path, folder: Path) -> None:
        samples = [sample for part in case.split.parts().values() for sample in part]
        samples.sort(key=lambda sample: sample.name)
        self._row = {sample.name: row for row, sample in enumerate(samples)}
        height, width = case.preprocessing.size
        names = [folder / f"{case.name}-{height}x{width}-layer{n}.npy" for n in (1, 2, 3)]
        if not names[-1].exists():
            folder.mkdir(parents=True, exist_ok=True)
            images = load_images(samples, case.preprocessing, progress=True)
            for name, layer in zip(names, _layers(trunk, images), strict=True):
                np.save(name, layer)
        self._layers = [np.load(name, mmap_mode="r") for name in names]

    def batches(self, names: list[str]) -> Iterator[list[torch.Tensor]]:
        """The layers of these photos, in their order, a few at a time."""
        for start in range(0, len(names), BATCH):
            rows = [self._row[name] for name in names[start : start + BATCH]]
            yield [torch.from_numpy(layer[rows].astype(np.float32)) for layer in self._layers]


@torch.inference_mode()
def _layers(trunk_file: Path, images: np.ndarray) -> list[np.ndarray]:
    trunk = build_resnet50(2, load_trunk(str(trunk_file)).state)[0]
    parts: list[list[np.ndarray]] = [[], [], []]
    for batch in torch.split(torch.from_numpy(images), BATCH):
        for part, layer in zip(parts, trunk(batch), strict=True):
            part.append(layer.half().numpy())
    return [np.concatenate(part) for part in parts]


def main() -> None:
    """Measure what is not there yet, and write the table."""
    given = case_parser("PaDiM, choice by choice.").parse_args()
    kept = given.work / "choices.json"
    results: dict[str, dict[str, float]] = json.loads(kept.read_text()) if kept.exists() else {}
    for name in given.sets:
        for seed in given.seeds:
            case = read_case(given.data, given.work, name, seed)
            features = Features(case, given.trunk, given.work / "features")
            for fit in FITS:
                place = f"{name}|{seed}|{fit.name}"
                if place not in results:
                    results[place] = measure(case, features, fit)
                    kept.write_text(json.dumps(results, indent=1))
                print(place, results[place], flush=True)
    if given.write:
        write(results)


def measure(case: Case, features: Features, fit: Fit) -> dict[str, float]:
    """Image AUROC for each way of reading a score off the distances; all of them for the default fit."""
    good = [sample.name for sample in case.split.train if sample.label == CLEAN]
    test = [sample.name for sample in case.split.test]
    fit = replace(fit, config=replace(fit.config, seed=case.seed))
    found = distances(fit, features.batches(good), features.batches(test))
    readings = READINGS if fit.name == DEFAULT else READINGS[:1]
    return {
        reading.name: auroc(score(found, reading, fit.config).tolist(), case.defective) or 0.0
        for reading in readings
    }


def write(results: dict[str, dict[str, float]]) -> None:
    """A row for each choice, a column for each set."""
    rows = []
    choices = [(fit.name, READINGS[0].name) for fit in FITS]
    choices[1:1] = [(DEFAULT, reading.name) for reading in READINGS[1:]]
    for fit, reading in choices:
        cells, means = [], []
        for name in SETS:
            own = [
                value[reading]
                for place, value in results.items()
                if place.startswith(f"{name}|") and place.endswith(f"|{fit}") and reading in value
            ]
            cells.append(f"{fmean(own):.4f} ± {pstdev(own):.4f}" if own else "")
            means += [fmean(own)] if own else []
        if means:
            title = fit if reading == READINGS[0].name else reading
            rows.append([title, *cells, f"{fmean(means):.4f}" if len(means) == len(SETS) else ""])
    config = PadimConfig()
    text = (
        "## PaDiM, choice by choice\n\nImage AUROC over the splits of the table above; each row "
        f"changes one thing in the defaults (d = {config.dims}, {config.projection} projection, a cell of "
        f"{config.stride} px, {RIDGE} / photos on the diagonal, smoothed by {config.smoothing:g} px "
        "on the grid, the largest value of the map as the score).\n\n"
    )
    ran = f"\n\n{machine()}. Written by `tests/benchmarks/padim_choices.py`."
    write_section("accuracy.md", "padim choices", text + table(["", *SETS, "mean"], rows) + ran)


if __name__ == "__main__":
    main()
