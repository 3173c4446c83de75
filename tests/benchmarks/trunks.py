"""Compares trunks on photos of real parts: PaDiM, and the classifier with its layer4 fine-tuned.

    python -m tests.benchmarks.trunks ../shared/data --out DIR --trunk random=none --trunk ours=glint

Splits, preprocessing and settings are those of `glint train`, over several seeds of split, projection and
training. PaDiM is fitted on the good photos of train and measured on test; the classifier learns on train,
stops on calibration, and is measured on test. Writes `trunks.md` and `trunks.json` into DIR as it goes.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, pstdev
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn

from models.decision import CLEAN
from models.networks.padim import Embedding, PadimFit, projection_matrix
from models.networks.padim_config import PadimConfig
from models.networks.resnet import Trunk, build_resnet50
from models.preprocessing import Preprocessing, default_size
from tests.benchmarks.accuracy_cases import camera_of
from training.batch_norm import settle
from training.config import FinetuneConfig
from training.data.layouts import read_dataset
from training.data.samples import Sample, read_mask
from training.data.splits import Split, split_dataset
from training.finetune import LabelledImages, finetune
from training.images import load_images
from training.metrics import auroc, pixel_auroc
from training.rendering.demo import render_parts
from training.trunk import load_trunk

SETS = ("metal_nut", "magnetic_tile", "ball_screw", "demo")


@dataclass(frozen=True)
class Photos:
    """One data set at the model's size: samples, uint8 [N, H, W, 3] RGB, and each defective photo's mask."""

    samples: list[Sample]
    images: np.ndarray
    masks: list[np.ndarray | None]


def load_photos(name: str, data: Path, most_clean: int) -> Photos:
    """Read a set, group it as it must be, and keep about `most_clean` of its good photos."""
    with TemporaryDirectory() as folder:
        root = data / name
        if name == "demo":
            root = Path(folder)
            render_parts(root, progress=False)
        samples = list(read_dataset(root, progress=False).samples)
        if name == "ball_screw":
            samples = [replace(s, group=camera_of(s.path)) for s in samples]
        samples = _thinned(samples, most_clean)
        height, width = default_size((s.height, s.width) for s in samples)
        preprocessing = Preprocessing(height=height, width=width)
        masks = [read_mask(s.mask, s.height, s.width) if s.mask else None for s in samples]
        return Photos(samples, load_images(samples, preprocessing, progress=False), masks)


def _thinned(samples: list[Sample], most_clean: int) -> list[Sample]:
    """Keep every defective photo and about `most_clean` good ones, spread evenly."""
    good = sorted((s for s in samples if s.label == CLEAN), key=lambda s: (s.group or s.sha256, s.name))
    step = max(1.0, len(good) / most_clean)
    kept = {good[int(i * step)].name for i in range(int(len(good) / step))}
    return [s for s in samples if s.label != CLEAN or s.name in kept]


class Embedded(Embedding):
    """Stands in for PaDiM's embedding where the features were embedded beforehand, as the only layer."""

    def __init__(self, config: PadimConfig) -> None:
        super().__init__(projection_matrix(config), config.stride)

    def forward(self, layers: Sequence[torch.Tensor]) -> torch.Tensor:
        return layers[0]


@torch.inference_mode()
def embed(trunk: Trunk, images: np.ndarray, seeds: int) -> list[torch.Tensor]:
    """For each seed of the projection, float32 [N, d, h, w]; the trunk runs only once."""
    embeddings = [PadimFit(PadimConfig(seed=seed)).embedding for seed in range(seeds)]
    parts: list[list[torch.Tensor]] = [[] for _ in embeddings]
    for batch in torch.split(torch.from_numpy(images), 8):
        layers = trunk(batch)
        for part, embedding in zip(parts, embeddings, strict=True):
            part.append(embedding(layers))
    return [torch.cat(part) for part in parts]


@torch.inference_mode()
def measure_padim(
    embedding: torch.Tensor, photos: Photos, split: Split, seed: int
) -> dict[str, float | None]:
    """Image and pixel AUROC on the test photos."""
    place = {sample.name: index for index, sample in enumerate(photos.samples)}
    good = [place[s.name] for s in split.train if s.label == CLEAN]
    test = [place[s.name] for s in split.test]
    config = PadimConfig(seed=seed)
    fit = PadimFit(config)
    fit.embedding = Embedded(config)
    for part in torch.split(embedding[good], 32):
        fit.add((part,))
    padim = fit.finish()
    results = [padim((part,)) for part in torch.split(embedding[test], 32)]
    maps = torch.cat([anomaly_map for anomaly_map, _ in results]).numpy()
    scores = torch.cat([score for _, score in results]).tolist()
    defective = [photos.samples[i].label != CLEAN for i in test]
    # A defective photo without a mask says nothing about its pixels.
    marked = [n for n, i in enumerate(test) if photos.masks[i] is not None or not defective[n]]
    masks = [photos.masks[test[n]] for n in marked]
    pixel = pixel_auroc([maps[n] for n in marked], masks) if any(m is not None for m in masks) else None
    return {"image_auroc": auroc(scores, defective), "pixel_auroc": pixel}


def measure_classifier(
    choice: str, photos: Photos, split: Split, config: FinetuneConfig
) -> dict[str, float | None]:
    """Image AUROC of `1 - p(clean)` on the test photos, and accuracy with all classes counting alike."""
    torch.manual_seed(config.seed)
    weights = load_trunk(choice)
    classes = [CLEAN, *sorted({s.label for s in split.train} - {CLEAN})]
    trunk, head = build_resnet50(len(classes), weights.state)
    place = {sample.name: index for index, sample in enumerate(photos.samples)}

    def labelled(samples: Sequence[Sample]) -> LabelledImages:
        rows = [place[s.name] for s in samples if s.label in classes]
        labels = [classes.index(photos.samples[row].label) for row in rows]
        return LabelledImages(photos.images[rows], np.array(labels, dtype=np.int64))

    train, calibration, test = (labelled(part) for part in split.parts().values())
    if weights.random:
        unsettled = nn.ModuleList([trunk, head])
        settle(unsettled, lambda part: head(trunk(part)), torch.from_numpy(train.images[:64]))
    finetune(
        trunk,
        head,
        train,
        calibration,
        config,
        train_statistics=weights.random,
        progress=False,
    )
    with torch.inference_mode():
        batches = torch.split(torch.from_numpy(test.images), 8)
        probabilities = torch.cat([head(trunk(b)).softmax(dim=1) for b in batches]).numpy()
    right = probabilities.argmax(axis=1) == test.labels
    accuracy = fmean(float(right[test.labels == c].mean()) for c in np.unique(test.labels))
    return {
        "image_auroc": auroc((1 - probabilities[:, 0]).tolist(), (test.labels > 0).tolist()),
        "accuracy": accuracy,
    }


def settled_trunk(choice: str, photos: Photos) -> Trunk:
    """The trunk as `glint train` would use it."""
    torch.manual_seed(0)
    weights = load_trunk(choice)
    trunk, _ = build_resnet50(2, weights.state)
    if weights.random:
        settle(trunk, trunk, torch.from_numpy(photos.images[:64]))
    return trunk


def table(results: list[dict]) -> str:
    """Markdown: a row for each trunk, a column for each set and figure; mean and deviation over the seeds."""
    columns = sorted({(r["model"], r["figure"], r["set"]) for r in results})
    trunks = list(dict.fromkeys(r["trunk"] for r in results))
    lines = [
        "| trunk | " + " | ".join(f"{model} {figure}, {name}" for model, figure, name in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for trunk in trunks:
        cells = []
        for column in columns:
            values = [
                r["value"]
                for r in results
                if r["trunk"] == trunk and (r["model"], r["figure"], r["set"]) == column
            ]
            spread = f" ± {pstdev(values):.3f}" if len(values) > 1 else ""
            cells.append(f"{fmean(values):.3f}{spread}" if values else "")
        lines.append(f"| {trunk} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the protocol."""
    parser = argparse.ArgumentParser(description="Compare trunks on photos of real parts.")
    parser.add_argument("data", type=Path, help="folder with metal_nut, magnetic_tile and ball_screw")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--trunk", action="append", required=True, metavar="NAME=CHOICE", help="as for `glint train --trunk`"
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3, help="seeds for PaDiM")
    parser.add_argument(
        "--classifier-seeds", type=int, default=3, help="seeds for the classifier, 0 for none"
    )
    parser.add_argument("--most-clean", type=int, default=10_000, help="good photos per set at most")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    results: list[dict] = []
    for name in asked.sets:
        photos = load_photos(name, asked.data, asked.most_clean)
        for label, choice in (text.split("=", 1) for text in asked.trunk):
            started = time.monotonic()
            embeddings = embed(settled_trunk(choice, photos), photos.images, asked.seeds)
            for seed in range(max(asked.seeds, asked.classifier_seeds)):
                split = split_dataset(photos.samples, seed=seed)
                measured = {}
                if seed < asked.seeds:
                    measured["PaDiM"] = measure_padim(embeddings[seed], photos, split, seed)
                if seed < asked.classifier_seeds:
                    measured["classifier"] = measure_classifier(
                        choice, photos, split, FinetuneConfig(seed=seed)
                    )
                run = {"set": name, "trunk": label, "seed": seed}
                results += [
                    {**run, "model": model, "figure": figure, "value": value}
                    for model, figures in measured.items()
                    for figure, value in figures.items()
                    if value is not None
                ]
                print(run, measured, f"{time.monotonic() - started:.0f} s", flush=True)
            (asked.out / "trunks.json").write_text(json.dumps(results, indent=1))
            (asked.out / "trunks.md").write_text(table(results))
    print(table(results))


if __name__ == "__main__":
    main()
