"""A tiny bundle that keeps the scores of its held-out photos, as `glint train` leaves it."""

import json
from pathlib import Path

import numpy as np

from models.bundle import SPLITS, Bundle, sha256_of_file, write_manifest
from models.inspector import Inspector
from models.manifest import Agreement, Variant
from models.scores import GraphScores, read_photo_scores, write_scores
from tests.tiny_bundle import anomalous_photo, clean_photo, make_tiny_bundle, scratched_photo
from tests.training.photos import painted_sample
from training.data.samples import Sample
from training.data.splits import split_records
from training.evaluation import inspect_samples
from training.limits import choose_limits
from training.recorded import held_out, scores_of
from training.summary import summarise

INT8 = "inspector.int8.onnx"


def make_recorded_bundle(folder: Path, *, defects: bool = True) -> Path:
    """Write a bundle whose limits were chosen on painted photos, 24 good ones and 8 of each defect a split.

    Args:
        defects: whether there are any in the splits.
    """
    path = make_tiny_bundle(folder / "bundles")
    splits = {name: _painted(folder / "photos", name, defects) for name in ("calibration", "test")}
    inspector = Inspector.load(path, "cpu", threads=1)
    records = {name: inspect_samples(inspector, s, title="", progress=False) for name, s in splits.items()}
    write_scores(path, "fp32", scores_of(records))
    manifest = inspector.manifest
    all_splits = [record for name, s in splits.items() for record in split_records(s, name)]
    (path / SPLITS).write_text(json.dumps([record.model_dump() for record in all_splits]))
    chosen = choose_limits(held_out(scores_of(records), manifest.classes, {}), 0.02)
    metrics = summarise(records["test"]).model_dump(mode="json")
    sign(path, metrics=metrics, limit_origins=chosen.origins)
    return path


def add_int8(bundle: Path, off: float) -> None:
    """Add a second graph (the same one) whose recorded anomaly scores are `off` by this share."""
    (bundle / INT8).write_bytes((bundle / "inspector.onnx").read_bytes())
    given = [p for p in read_photo_scores(Bundle.open(bundle)) if p.split == "calibration"]
    moved = [
        GraphScores(sha256=p.sha256, anomaly=(p.anomaly or 0.0) * (1 + off), probabilities=p.probabilities)
        for p in given
    ]
    write_scores(bundle, "int8", moved)
    agreement = Agreement(photos=len(given), score=0.0, flips=0)
    variant = Variant(file=INT8, precision="int8", agreement=agreement)
    variants = Bundle.open(bundle).manifest.variants
    sign(bundle, variants={**variants, "int8": variant})


def sign(bundle: Path, **changes: object) -> None:
    """Write the manifest over the files that are there now."""
    names = [p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()]
    files = {name: sha256_of_file(bundle / name) for name in names if name != "manifest.json"}
    manifest = Bundle.open(bundle, verify=False).manifest
    write_manifest(bundle, manifest.model_copy(update={"files": files, **changes}))


def _painted(folder: Path, split: str, defects: bool) -> list[Sample]:
    seed = {"calibration": 100, "test": 200}[split]
    samples = []
    for index in range(24):
        samples.append(_sample(folder, f"{split}_good_{index:02d}", _uneven(index, seed), "clean"))
    for index in range(8 if defects else 0):
        samples.append(_sample(folder, f"{split}_dent_{index}", anomalous_photo(seed=seed + index), "dent"))
        scratched = scratched_photo(seed=seed + index)
        samples.append(_sample(folder, f"{split}_scratched_{index}", scratched, "scratched"))
    return samples


def _uneven(index: int, seed: int) -> np.ndarray:
    """A good photo with a faint spot, the fainter the smaller its index: good scores that differ."""
    pixels = clean_photo(seed=seed + index)
    pixels[16:48, 16:48] = 128 + index
    return pixels


def _sample(folder: Path, name: str, pixels: np.ndarray, label: str) -> Sample:
    return painted_sample(folder / f"{name}.png", pixels, label)
