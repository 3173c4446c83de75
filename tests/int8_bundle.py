"""A tiny bundle with a second graph, whose anomalies are larger, so that one sees which graph ran."""

import json
from pathlib import Path

import onnx
from onnx import numpy_helper

from models.bundle import GOLDEN_RESULTS, Bundle, GoldenOutcome, GoldenResult, sha256_of_file, write_manifest
from models.inspector import Inspector
from models.manifest import Agreement, Variant
from models.session import open_session
from models.variants import Choice
from tests.tiny_bundle import make_tiny_bundle

FILE = "inspector.int8.onnx"
GAIN = 1.05  # more than golden photos may be off by


def make_int8_bundle(folder: Path, agreement: Agreement | None = None) -> Path:
    """Write a bundle with the graphs fp32 and int8, and the golden results of both."""
    path = make_tiny_bundle(folder)
    model = onnx.load(path / "inspector.onnx")
    ten = next(i for i in model.graph.initializer if i.name == "ten")
    ten.CopyFrom(numpy_helper.from_array((numpy_helper.to_array(ten) * GAIN).astype("float32"), "ten"))
    onnx.save(model, path / FILE)
    bundle = Bundle.open(path)
    opened = open_session(path / FILE, "cpu", threads=1)
    inspector = Inspector(bundle, opened, Choice("int8", FILE, "it is being recorded"))
    results = [_with_int8(inspector, path, result) for result in bundle.golden_results()]
    (path / GOLDEN_RESULTS).write_text(json.dumps([result.model_dump() for result in results]))
    variant = Variant(file=FILE, precision="int8", agreement=agreement)
    changed = {name: sha256_of_file(path / name) for name in (FILE, GOLDEN_RESULTS)}
    manifest = bundle.manifest
    write_manifest(
        path,
        manifest.model_copy(
            update={
                "variants": {**manifest.variants, "int8": variant},
                "files": {**manifest.files, **changed},
            }
        ),
    )
    return path


def _with_int8(inspector: Inspector, path: Path, result: GoldenResult) -> GoldenResult:
    answer, _, outputs = inspector.inspect((path / result.file).read_bytes())
    assert answer.score is not None
    outcome = GoldenOutcome(
        verdict=answer.verdict,
        score=answer.score,
        probabilities=[float(p) for p in outputs.probabilities],
        anomaly_score=outputs.anomaly_score,
    )
    return result.model_copy(update={"variants": {"int8": outcome}})
