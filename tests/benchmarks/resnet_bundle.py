"""A complete bundle of the size that `glint train` makes, in seconds: ResNet50 with random weights.

What it says of a photo means nothing, but it costs what a trained one costs: time does not depend on
weights. About half of the given photos reach its limit, so that overlays cost what they cost.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
import torch

from models.bundle import GOLDEN_RESULTS, SPLITS, sha256_of_file, write_manifest
from models.decision import Limits
from models.manifest import Manifest
from models.networks.padim import Embedding, Padim, projection_matrix
from models.networks.padim_config import PadimConfig
from models.networks.resnet import build_resnet50
from models.photo import decode_photo
from models.preprocessing import Preprocessing
from models.session import open_session
from tests.tiny_bundle import WIDE_GATE, golden_results, manifest_of
from training.export import export_graphs

CLASSES = ["clean", "scratched"]


def make_resnet_bundle(
    folder: Path, photos: Sequence[bytes], *, size: tuple[int, int] = (192, 256), dims: int = 100
) -> Path:
    """Write a bundle for the encoded photos to `folder/bracket/<version>` and return that path.

    Args:
        size: of the model's input (height, width); the default has the shape of a 640 x 480 photo.
        dims: of PaDiM, on a grid of stride 8.
    """
    path = folder / "bracket" / "20260101-000000"
    (path / "golden").mkdir(parents=True)
    (path / SPLITS).write_text("[]\n")
    (path / "golden" / "clean.jpg").write_bytes(photos[0])
    _export(path, size, dims)
    limits = Limits(classifier=1.0, anomaly=median(_scores(path, photos, size)))
    draft = _manifest(path, size, limits, {"inspector.onnx": ""})
    (path / GOLDEN_RESULTS).write_text(json.dumps(golden_results(path, draft, {"clean": "golden/clean.jpg"})))
    names = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
    write_manifest(path, _manifest(path, size, limits, {name: sha256_of_file(path / name) for name in names}))
    return path


def _export(path: Path, size: tuple[int, int], dims: int) -> None:
    torch.manual_seed(0)
    trunk, head = build_resnet50(len(CLASSES))
    config = PadimConfig(dims=dims)
    cells = (size[0] // config.stride) * (size[1] // config.stride)
    embedding = Embedding(projection_matrix(config), config.stride)
    whitening = torch.eye(dims).expand(cells, -1, -1).clone()
    padim = Padim(embedding, torch.zeros(cells, dims), whitening, config.smoothing)
    export_graphs(path, trunk, head, padim, size)
    for name in ("classifier.onnx", "padim.onnx"):
        (path / name).unlink()


def _scores(path: Path, photos: Sequence[bytes], size: tuple[int, int]) -> list[float]:
    session = open_session(path / "inspector.onnx", "cpu").session
    preprocessing = Preprocessing(height=size[0], width=size[1])
    scores = []
    for data in photos:
        tensor = preprocessing.apply(decode_photo(data).pixels)
        (score,) = session.run(["anomaly_score"], {"image": tensor[None]})
        scores.append(float(np.ravel(score)[0]))
    return scores


def _manifest(path: Path, size: tuple[int, int], limits: Limits, files: dict[str, str]) -> Manifest:
    return manifest_of(path.parent.name, path.name, CLASSES, size, limits, WIDE_GATE, files)
