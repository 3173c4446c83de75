"""Folders of painted photos for the tiny bundle, with their true labels."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from models.bundle import SPLITS, Bundle, sha256_of_file, write_manifest
from tests.tiny_bundle import anomalous_photo, clean_photo, encode, scratched_photo
from training.data.samples import Sample
from training.data.splits import split_records

PAINTERS = {"good": clean_photo, "scratched": scratched_photo, "dent": anomalous_photo}


def paint_folder(root: Path, counts: Mapping[str, int], *, masks: bool = False) -> Path:
    """Write class folders of painted photos: `good`, `scratched` (known to the bundle) and `dent` (not)."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            pixels = PAINTERS[name](seed=100 + index)
            (root / name / f"{name}_{index:02d}.png").write_bytes(encode(pixels))
            if masks and name != "good":
                target = root / "masks" / name / f"{name}_{index:02d}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(encode(_mask(pixels)))
    return root


def painted_sample(path: Path, pixels: npt.NDArray[np.uint8], label: str) -> Sample:
    """Write one photo and describe it as the reader of data sets would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(pixels))
    return Sample(
        path=path,
        name=path.name,
        label=label,
        sha256=sha256_of_file(path),
        height=pixels.shape[0],
        width=pixels.shape[1],
    )


def record_splits(bundle: Path, samples: Sequence[Sample], split: str) -> None:
    """Write into a bundle that these photos went to that split."""
    records = [record.model_dump() for record in split_records(samples, split)]
    (bundle / SPLITS).write_text(json.dumps(records))
    manifest = Bundle.open(bundle, verify=False).manifest
    files = {**manifest.files, SPLITS: sha256_of_file(bundle / SPLITS)}
    write_manifest(bundle, manifest.model_copy(update={"files": files}))


def _mask(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    differs = np.abs(pixels.astype(np.int16) - 128).max(axis=2) > 60
    return cv2.morphologyEx(differs.astype(np.uint8) * 255, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
