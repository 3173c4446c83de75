"""A graph is one file: weights that it wants to take from another file are refused, wherever that lies."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto

from models.bundle import Bundle, sha256_of_file, write_manifest
from models.errors import BundleError
from models.inspector import Inspector
from tests.tiny_bundle import make_tiny_bundle

CONSTANT = "white"  # a float32 that every photo is divided by
WEIGHTS = "weights.bin"


def move_out(bundle: Path, location: str) -> bytes:
    """Forge a bundle: its graph takes one constant from `location`, and its checksums agree. The constant."""
    graph = bundle / "inspector.onnx"
    model = onnx.load(graph)
    tensor = next(t for t in model.graph.initializer if t.name == CONSTANT)
    value = onnx.numpy_helper.to_array(tensor).tobytes()
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, text in {"location": location, "length": str(len(value))}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, text
    graph.write_bytes(model.SerializeToString())
    manifest = Bundle.open(bundle, verify=False).manifest
    files = {**manifest.files, graph.name: sha256_of_file(graph)}
    write_manifest(bundle, manifest.model_copy(update={"files": files}))
    return value


@pytest.mark.parametrize("place", ["beside the graph", "in the working folder", "one folder up", "anywhere"])
def test_weights_in_another_file_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    bundle = make_tiny_bundle(tmp_path / "bundles")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    file, location = {
        "beside the graph": (bundle / WEIGHTS, WEIGHTS),
        "in the working folder": (Path.cwd() / WEIGHTS, WEIGHTS),
        "one folder up": (bundle.parent / WEIGHTS, f"../{WEIGHTS}"),
        "anywhere": (tmp_path / WEIGHTS, str(tmp_path / WEIGHTS)),
    }[place]
    file.write_bytes(move_out(bundle, location))
    with pytest.raises(BundleError, match=r"inspector\.onnx cannot be run"):
        Inspector.load(bundle, "cpu", threads=1)
