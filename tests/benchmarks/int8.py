"""What int8 gains and what it costs: throughput against fp32, and image AUROC of both on real parts.

.venv/bin/glint train ../shared/data/metal_nut --bundles BUNDLES, and so on for other sets; then
.venv/bin/python -m tests.benchmarks.int8 --bundles BUNDLES --photos ../shared/data

The int8 graph is made anew from each bundle's fp32 graph and training photos, as `glint train` makes it,
whether or not it would be written. The two graphs run in turn, A B A B. Writes its table into
docs/performance.md.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from models.bundle import Bundle, find_bundles
from models.cpu import read_cpu_features
from models.decision import CLEAN, decide
from models.manifest import Agreement, Manifest, Variant
from models.session import open_session
from models.variants import why_not
from tests.benchmarks.report import machine, table, write_section
from training.data.layouts import read_dataset
from training.images import load_images
from training.metrics import auroc
from training.variants.int8_graph import int8_graph

ROUNDS = 40
OUTPUTS = ["probabilities", "anomaly_score"]
HEAD = (
    "set",
    "throughput of int8 / fp32 (quartiles)",
    "AUROC fp32",
    "AUROC int8",
    "PaDiM fp32",
    "PaDiM int8",
    "largest score difference",
    "verdicts turned",
    "made in",
)

Photos = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Part:
    """A bundle, and its photos at the model's size with whether they are defective, by split."""

    bundle: Bundle
    photos: dict[str, Photos]
    defective: dict[str, list[bool]]


@dataclass(frozen=True)
class Judged:
    """What a graph says of photos: `score` as answered, the anomaly score, and the verdict."""

    scores: list[float]
    anomaly: list[float]
    verdicts: list[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bundles", type=Path, required=True, help="Folder of bundles.")
    parser.add_argument("--photos", type=Path, required=True, help="Folder with the photos of each part.")
    given = parser.parse_args()
    rows: list[tuple[str, ...]] = []
    for part, path in sorted(find_bundles(given.bundles).items()):
        rows.append(measure(path, given.photos / part))
        write(rows)


def write(rows: Sequence[tuple[str, ...]]) -> None:
    """Write what is measured so far: a run that is cut off leaves it."""
    features = read_cpu_features()
    has = f"has {features.int8}" if features.int8 else "has neither VNNI nor AMX, which int8 is for"
    text = (
        f"## int8 against fp32\n\n{ROUNDS} runs of each in turn, one photo a run, {machine()}. The CPU "
        f"{has}; instruction sets that matter: {features}. The ratio is the median over pairs. "
        "AUROC of the answer's score, and of PaDiM's alone, on test photos; the largest difference of scores "
        "and the verdicts that turn, on calibration and on test photos. `glint train` writes the graph when, "
        "on calibration photos, no score differs by more than 0.01 and no verdict turns. Written by "
        "`tests/benchmarks/int8.py`.\n\n"
    )
    write_section("performance.md", "int8", text + table(HEAD, rows))


def measure(path: Path, photos: Path) -> tuple[str, ...]:
    """One row: a part's set of photos."""
    part = load(path, photos)
    manifest = part.bundle.manifest
    source = part.bundle.file("inspector.onnx")
    started = time.perf_counter()
    model = int8_graph(onnx.load(source), part.photos["train"], seed=0)
    made = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, Path(folder) / "int8.onnx")
        sessions = [open_session(p, "cpu").session for p in (source, Path(folder) / "int8.onnx")]
    a, b = interleaved(*sessions, part.photos["test"][:1])
    low, high = np.percentile([x / y for x, y in zip(a, b, strict=True)], [25, 75])
    judged = {s: [judge(g, part.photos[s], manifest) for g in sessions] for s in ("calibration", "test")}
    exact, found = judged["test"]
    defective = part.defective["test"]
    agreements = {name: compare(*pair) for name, pair in judged.items()}
    verdict = why_not(Variant(file="", precision="int8", agreement=agreements["calibration"]))
    row = (
        f"{manifest.part}, {len(defective)} test photos",
        f"**{median(x / y for x, y in zip(a, b, strict=True)):.2f}** ({low:.2f} to {high:.2f})",
        *(f"{auroc(j.scores, defective):.4f}" for j in (exact, found)),
        *(f"{auroc(j.anomaly, defective):.4f}" for j in (exact, found)),
        ", ".join(f"{agreement.score:.4f}" for agreement in agreements.values()),
        ", ".join(f"{agreement.flips} of {agreement.photos}" for agreement in agreements.values()),
        f"{made:.0f} s",
    )
    print(*row, verdict or "it would be written", sep=" | ", flush=True)
    return row


def load(path: Path, photos: Path) -> Part:
    """Read a bundle's photos, by the split that its training made."""
    bundle = Bundle.open(path)
    preprocessing = bundle.manifest.preprocessing
    dataset = read_dataset(photos, white_level=preprocessing.white_level, progress=False)
    samples = {sample.sha256: sample for sample in dataset.samples}
    splits = {
        name: [samples[item.sha256] for item in bundle.splits() if item.split == name]
        for name in ("train", "calibration", "test")
    }
    return Part(
        bundle,
        {name: load_images(given, preprocessing, progress=False) for name, given in splits.items()},
        {name: [sample.label != CLEAN for sample in given] for name, given in splits.items()},
    )


def interleaved(exact: Any, rounded: Any, photo: Photos) -> tuple[list[float], list[float]]:
    """Seconds of each run, the two graphs in turn."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for round_ in range(ROUNDS + 3):
        for taken, session in zip(seconds, (exact, rounded), strict=True):
            started = time.perf_counter()
            session.run(OUTPUTS, {"image": photo})
            if round_ >= 3:
                taken.append(time.perf_counter() - started)
    return seconds


def judge(session: Any, photos: Photos, manifest: Manifest) -> Judged:
    """Run photos one by one and decide over them."""
    judged = Judged([], [], [])
    for photo in photos:
        probabilities, anomaly = session.run(OUTPUTS, {"image": photo[None]})
        score = float(anomaly.reshape(-1)[0])
        decision = decide([float(p) for p in probabilities[0]], manifest.classes, score, manifest.limits)
        assert decision.score is not None, decision.review_reasons
        judged.scores.append(decision.score)
        judged.anomaly.append(score)
        judged.verdicts.append(decision.verdict)
    return judged


def compare(exact: Judged, found: Judged) -> Agreement:
    """How far the one is from the other."""
    differences = [abs(a - b) for a, b in zip(exact.scores, found.scores, strict=True)]
    flips = sum(a != b for a, b in zip(exact.verdicts, found.verdicts, strict=True))
    return Agreement(photos=len(differences), score=max(differences), flips=flips)


if __name__ == "__main__":
    main()
