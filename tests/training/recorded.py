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


def make_recorded_bundle(
    folder: Path, *, with_int8: bool = False, off: float = 0.0, defects: bool = True
) -> Path:
    """Write a bundle whose limits were chosen on painted photos, 24 good ones and 8 of each defect a split.

    Args:
        with_int8: with a second graph (the same one), whose recorded anomaly scores are `off` by this share.
        defects: whether there are any in the splits.
    """
    path = make_tiny_bundle(folder / "bundles")
    splits = {name: _painted(folder / "photos", name, defects) for name in ("calibration", "test")}
    inspector = Inspector.load(path, "cpu", threads=1)
    records = {name: inspect_samples(inspector, s, title="", progress=False) for name, s in splits.items()}
    write_scores(path, "fp32", scores_of(records))
    manifest = inspector.manifest
    variants = dict(manifest.variants)
    if with_int8:
        (path / INT8).write_bytes((path / "inspector.onnx").read_bytes())
        agreement = Agreement(photos=len(records["calibration"]), score=0.0, flips=0)
        variants["int8"] = Variant(file=INT8, precision="int8", agreement=agreement)
        given = [p for p in scores_of(records) if p.split == "calibration"]
        write_scores(
            path,
            "int8",
            [
                GraphScores(
                    sha256=p.sha256, anomaly=(p.anomaly or 0.0) * (1 + off), probabilities=p.probabilities
                )
                for p in given
            ],
        )
    all_splits = [record for name, s in splits.items() for record in split_records(s, name)]
    (path / SPLITS).write_text(json.dumps([record.model_dump() for record in all_splits]))
    names = [p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()]
    files = {name: sha256_of_file(path / name) for name in names if name != "manifest.json"}
    changed = {
        "files": files,
        "variants": variants,
        "metrics": summarise(records["test"]).model_dump(mode="json"),
    }
    unchosen = Bundle(path, manifest.model_copy(update=changed))
    chosen = choose_limits(held_out(read_photo_scores(unchosen), manifest.classes), 0.02)
    write_manifest(path, unchosen.manifest.model_copy(update={"limit_origins": chosen.origins}))
    return path


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
