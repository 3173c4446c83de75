"""What painted scratches are worth to the classifier: metal nuts with 0, 5 and 15 real scratches.

    .venv/bin/python -m tests.benchmarks.synthetic_defects ../shared/data/metal_nut --trunk FILE [--docs]

For each seed the good photos are split as `glint train` does, and the real scratches are put in an order: the
first 0, 5 or 15 are learnt from (a fifth of them held out for calibration), the last 8 are only tested. The
classifier is the read-out that `--finetune head` fits, on as many views of the photos. Image AUROC of
1 - p(clean), real scratches against good photos of test. No painted photo is tested.
"""

import argparse
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from models.decision import CLEAN
from models.networks.padim import PadimFit
from models.networks.padim_config import PadimConfig
from models.networks.resnet import build_resnet50
from models.preprocessing import Preprocessing
from models.sight import Sight
from tests.benchmarks.report import table, write_section
from training.config import FinetuneConfig
from training.data.layouts import read_dataset
from training.data.samples import Sample
from training.data.splits import Split, split_dataset
from training.finetune import finetune
from training.images import load_images
from training.metrics import auroc
from training.readout import fit_readout
from training.registering import SeenPhotos
from training.stages import split_network
from training.synthetic.kinds import KINDS, Kind, SyntheticConfig, name_classes
from training.synthetic.photos import PaintedPhotos, paint_photos, stand_ins
from training.trunk import load_trunk
from training.views import LabelledImages, activations

SIZE = (224, 224)
REAL = (0, 5, 15)
TESTED = 8
SCRATCH: Kind = "scratch"

# The photos `scratch/000` to `scratch/011` were looked at while the painting was made, the others never.
LOOKED_AT = 12

TEXT = """## Painted scratches

What `--synthetic-defects` gains on metal nuts (`tests/benchmarks/synthetic_defects.py`): image AUROC of the
classifier, real scratches that it has not learnt from against good photos of test. Mean of {seeds} seeds of
the split, and in brackets the least of them. Of the real scratches a fifth is held out for calibration; where
there is none, training stops on painted ones. {strategies}

{table}

{looked_at} of the 23 real scratches were looked at while the painting was made; the last column has the rest.
"""


@dataclass(frozen=True)
class Nuts:
    """The photos that are used, and their images uint8 [N, H, W, 3] in the same order."""

    samples: tuple[Sample, ...]
    images: np.ndarray

    def of(self, samples: Iterable[Sample]) -> np.ndarray:
        place = {sample.name: row for row, sample in enumerate(self.samples)}
        return self.images[[place[sample.name] for sample in samples]]


@dataclass(frozen=True)
class Lesson:
    """What one classifier learns from, stops on, and is tested on."""

    split: Split
    painted: PaintedPhotos
    tested: tuple[Sample, ...]


class Features:
    """What the read-out sees of an image; each image is looked at once."""

    def __init__(self, trunk: str) -> None:
        self.weights = load_trunk(trunk).state
        backbone, head = (
            part.to(memory_format=torch.channels_last) for part in build_resnet50(2, self.weights)
        )
        self._frozen, self.stage = split_network(backbone.eval(), head.eval(), "head", SIZE)
        self._known: dict[bytes, torch.Tensor] = {}

    def __call__(self, images: Sequence[np.ndarray]) -> torch.Tensor:
        """Float32 [N, D]."""
        keys = [hashlib.sha256(image).digest() for image in images]
        new = {key: image for key, image in zip(keys, images, strict=True) if key not in self._known}
        if new:
            found = activations(self._frozen, np.stack(list(new.values())), "cpu")
            self._known.update(zip(new, found, strict=True))
        return torch.stack([self._known[key] for key in keys]).float()


def read_nuts(root: Path) -> Nuts:
    """Good and scratched nuts at the model's size."""
    samples = tuple(s for s in read_dataset(root, progress=False).samples if s.label in (CLEAN, SCRATCH))
    return Nuts(samples, load_images(samples, Preprocessing(height=SIZE[0], width=SIZE[1]), progress=False))


def lesson(nuts: Nuts, real: int, painted: int, kinds: tuple[Kind, ...], seed: int) -> Lesson:
    """The photos of one run; those of a seed are the same whatever else is asked for."""
    good = split_dataset([s for s in nuts.samples if s.label == CLEAN], seed=seed)
    scratched = [s for s in nuts.samples if s.label == SCRATCH]
    order = [scratched[row] for row in np.random.default_rng(seed).permutation(len(scratched))]
    held_out = round(real / 5)
    split = replace(
        good,
        train=(*good.train, *order[: real - held_out]),
        calibration=(*good.calibration, *order[real - held_out : real]),
    )
    config = SyntheticConfig(painted, kinds)
    drawn = PaintedPhotos()
    if painted:
        images = {name: nuts.of(part) for name, part in split.parts().items()}
        size = Preprocessing(height=SIZE[0], width=SIZE[1])
        classes = name_classes(config, [SCRATCH])
        seen = SeenPhotos.plain(split, Sight(size), images)
        drawn = paint_photos(config, classes, seen, seed=seed, progress=False)
    return Lesson(split, drawn, tuple(order[real:]))


def labelled(nuts: Nuts, given: Lesson) -> tuple[LabelledImages, LabelledImages, list[str]]:
    """What is learnt from, what training stops on, and the classes."""
    split, painted = given.split, given.painted
    classes = [CLEAN, *sorted(({s.label for s in split.train} | painted.classes) - {CLEAN})]
    parts = []
    for samples, drawn in ((split.train, painted.train), (split.calibration, stand_ins(split, painted))):
        # Views are drawn by a photo's place: what all arms share comes first, and is looked at once.
        clean, real = ([s for s in samples if (s.label == CLEAN) == wanted] for wanted in (True, False))
        images = [*nuts.of(clean), *(photo.painted.pixels for photo in drawn), *nuts.of(real)]
        labels = [classes.index(x.label) for x in (*clean, *drawn, *real)]
        painted_ones = np.zeros(len(labels), dtype=bool)
        painted_ones[len(clean) : len(clean) + len(drawn)] = True
        parts.append(LabelledImages(np.stack(images), np.array(labels, dtype=np.int64), painted_ones))
    return parts[0], parts[1], classes


def learn(features: Features, nuts: Nuts, given: Lesson, seed: int, strategy: str) -> dict[str, float]:
    """Defect probability of each tested photo, by name."""
    train, calibration, classes = labelled(nuts, given)
    config = FinetuneConfig("layer4" if strategy == "layer4" else "head", seed=seed)
    tested = [*(s for s in given.split.test if s.label == CLEAN), *given.tested]
    torch.manual_seed(seed)
    trunk, head = build_resnet50(len(classes), features.weights)
    if strategy == "layer4":
        finetune(trunk, head, train, calibration, config, progress=False)
        with torch.inference_mode():
            batches = torch.split(torch.from_numpy(nuts.of(tested)), 8)
            logits = torch.cat([head(trunk(batch)) for batch in batches])
    else:
        n_views = max(1, min(config.readout_views, config.readout_samples // len(train.labels)))
        views = [
            image if view == 0 else config.augmentation.view(image, np.random.default_rng([seed, row, view]))
            for view in range(n_views)
            for row, image in enumerate(train.images)
        ]
        labels = torch.from_numpy(np.tile(train.labels, n_views))
        truth = torch.from_numpy(calibration.labels)
        drawn = np.tile(train.painted, n_views)
        fit_readout(head.fc, features(views), labels, features(list(calibration.images)), truth, drawn)
        with torch.inference_mode():
            logits = head.fc(features(list(nuts.of(tested))))
    found = 1 - logits.softmax(dim=1)[:, 0]
    return dict(zip((s.name for s in tested), found.tolist(), strict=True))


def padim(features: Features, nuts: Nuts, given: Lesson, seed: int) -> dict[str, float]:
    """Anomaly score of each tested photo, by name: what is found without any defect to learn from."""
    trunk, _ = build_resnet50(2, features.weights)
    trunk.eval()
    fit = PadimFit(PadimConfig(seed=seed))
    good = nuts.of(s for s in given.split.train if s.label == CLEAN)
    tested = [*(s for s in given.split.test if s.label == CLEAN), *given.tested]
    with torch.inference_mode():
        for batch in torch.split(torch.from_numpy(good), 8):
            fit.add(trunk(batch))
        model = fit.finish()
        scores = [model(trunk(batch))[1] for batch in torch.split(torch.from_numpy(nuts.of(tested)), 8)]
    return dict(zip((s.name for s in tested), torch.cat(scores).tolist(), strict=True))


def area(scores: dict[str, float], given: Lesson, scratched: Sequence[Sample]) -> float:
    """Image AUROC of these scratches against the good test photos."""
    good = [scores[s.name] for s in given.split.test if s.label == CLEAN]
    bad = [scores[s.name] for s in scratched]
    found = auroc([*good, *bad], [False] * len(good) + [True] * len(bad))
    assert found is not None, "both sides are tested"
    return found


@dataclass(frozen=True)
class Arm:
    """One row of the table: how many real scratches are given, and what is painted."""

    real: int
    painted: int
    kinds: tuple[Kind, ...] = (SCRATCH,)

    def __str__(self) -> str:
        return f"{self.real} real, {self.painted} painted {'/'.join(self.kinds) if self.painted else ''}"


def measure(
    features: Features, nuts: Nuts, arms: Sequence[Arm], seeds: int, strategy: str
) -> dict[Arm, list[tuple[float, ...]]]:
    """For each arm and seed, AUROC on the scratches that all arms are tested on, on all unseen ones, and on
    those of them that nobody looked at."""
    found: dict[Arm, list[tuple[float, ...]]] = {arm: [] for arm in arms}
    for seed in range(seeds):
        for arm in arms:
            given = lesson(nuts, arm.real, arm.painted, arm.kinds, seed)
            if arm.real or arm.painted:
                scores = learn(features, nuts, given, seed, strategy)
            else:
                scores = padim(features, nuts, given, seed)
            fresh = [s for s in given.tested if int(s.path.stem) >= LOOKED_AT]
            areas = tuple(area(scores, given, some) for some in (given.tested[-TESTED:], given.tested, fresh))
            found[arm].append(areas)
            print(f"seed {seed}, {strategy}, {arm}: {' '.join(f'{x:.3f}' for x in areas)}", flush=True)
    return found


def rows_of(measured: dict[Arm, list[tuple[float, ...]]], model: str) -> list[list[str]]:
    """A row for each arm: mean and least of each figure."""
    rows = []
    for arm, areas in sorted(measured.items(), key=lambda item: (item[0].real, item[0].painted)):
        name = model if arm.real or arm.painted else "PaDiM, for comparison"
        drawn = f"{arm.painted} ({', '.join(arm.kinds)})" if arm.painted else "none"
        figures = [f"{fmean(column):.3f} ({min(column):.3f})" for column in zip(*areas, strict=True)]
        rows.append([name, str(arm.real), drawn, *figures])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="What painted scratches are worth to the classifier.")
    parser.add_argument("nuts", type=Path, help="folder with good/ and scratch/")
    parser.add_argument("--trunk", default="auto", help="as for `glint train`")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--layer4-seeds", type=int, default=0, help="seeds for layer4, many minutes each")
    parser.add_argument("--painted", type=int, default=100)
    parser.add_argument("--docs", action="store_true", help="write docs/accuracy.md")
    asked = parser.parse_args()
    nuts, features = read_nuts(asked.nuts), Features(asked.trunk)
    alone, mixed = Arm(0, asked.painted), Arm(0, asked.painted, KINDS)
    with_real = [arm for real in REAL[1:] for arm in (Arm(real, 0), Arm(real, asked.painted))]
    head = measure(features, nuts, [alone, *with_real], asked.seeds, "head")
    head |= measure(features, nuts, [mixed, Arm(0, 0)], asked.seeds, "head")
    rows = rows_of(head, "read-out")
    strategies = "Measured with `--finetune head`, the fitted read-out alone."
    if asked.layer4_seeds:
        deep = measure(features, nuts, [alone, *with_real], asked.layer4_seeds, "layer4")
        rows += rows_of(deep, "layer4")
        strategies = f"`--finetune head` (read-out), and `layer4` with {asked.layer4_seeds} seeds."
    heads = [
        "model",
        "real scratches",
        "painted",
        f"the same {TESTED} for all",
        "all not learnt from",
        "not looked at",
    ]
    text = TEXT.format(
        seeds=asked.seeds, strategies=strategies, table=table(heads, rows), looked_at=LOOKED_AT
    )
    print(text)
    if asked.docs:
        write_section("accuracy.md", "synthetic defects", text)


if __name__ == "__main__":
    main()
