"""The int8 form of a bundle: what is int8 in it, how near it is, and that it is written only if it agrees."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from models.bundle import Bundle
from models.errors import ExportError
from models.inspector import Inspector
from models.manifest import Variant
from models.session import open_session
from tests.tiny_bundle import encode, make_tiny_bundle
from tests.training.photos import painted_sample
from tests.training.small_trunk import GRID, SIZE, small_photos, small_trunk_graph
from training.golden import write_golden
from training.summary import Record
from training.variants.equalisation import equalise
from training.variants.int8 import FILE, write_int8
from training.variants.int8_graph import int8_graph, quantise
from training.variants.int8_trunk import Int8Trunk
from training.variants.ranges import measure_ranges, whole
from training.variants.rehearsal import correct_biases
from training.variants.sessions import session_of
from training.variants.write import WrittenVariants

OUTPUTS = ("probabilities", "anomaly_map", "anomaly_score")


@pytest.fixture(scope="module")
def served() -> onnx.ModelProto:
    return small_trunk_graph()


@pytest.fixture(scope="module")
def rounded(served: onnx.ModelProto) -> onnx.ModelProto:
    return int8_graph(served, small_photos(32), seed=0)


def run(model: onnx.ModelProto, seed: int = 1) -> dict[str, Any]:
    found = session_of(model).run(OUTPUTS, {"image": small_photos(6, seed)})
    return dict(zip(OUTPUTS, found, strict=True))


def test_the_trunk_is_int8_and_the_heads_are_not(rounded: onnx.ModelProto, tmp_path: Path) -> None:
    onnx.checker.check_model(rounded, full_check=True)
    onnx.save(rounded, tmp_path / "graph.onnx")
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    ort.InferenceSession(tmp_path / "graph.onnx", options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    in_blocks = 3 * 3 + 2
    kept = ("the stem", "layer1.0.conv1", "layer1.0.conv3", "layer1.0.downsample", "the projection")
    assert kinds.count("QLinearConv") == in_blocks - 3
    assert kinds.count("QLinearAdd") == 2
    assert kinds.count("Conv") + kinds.count("FusedConv") == len(kept)
    assert "Gemm" in kinds
    assert "Softmax" in kinds


def test_it_gives_nearly_what_fp32_gives(served: onnx.ModelProto, rounded: onnx.ModelProto) -> None:
    exact, found = run(served), run(rounded)
    peak = exact["anomaly_map"].max(axis=(1, 2), keepdims=True)
    assert np.abs((found["anomaly_map"] - exact["anomaly_map"]) / peak).max() < 0.04
    assert np.abs(found["probabilities"] - exact["probabilities"]).max() < 0.02
    assert not np.array_equal(found["anomaly_map"], exact["anomaly_map"]), "something was rounded"


def test_like_ranges_leave_what_is_computed_alone(served: onnx.ModelProto) -> None:
    trunk = trunk_of(served)
    before = measure_ranges(trunk.model, trunk.quantised, small_photos(8))
    told = equalise(trunk, before)
    onnx.checker.check_model(trunk.model, full_check=True)
    after = measure_ranges(trunk.model, trunk.quantised, small_photos(8))
    for name in trunk.quantised:
        np.testing.assert_allclose(after[name].high, told[name].high, rtol=1e-4, atol=1e-5)
    exact, found = run(served), run(trunk.model)
    for name in OUTPUTS:
        np.testing.assert_allclose(found[name], exact[name], rtol=1e-3, atol=1e-5)
    alone = "trunk.layer1.1.relu2"
    alike = after[alone].largest[before[alone].largest > 0.1 * before[alone].largest.max()]
    np.testing.assert_allclose(alike, alike[0], rtol=1e-4, err_msg="all channels of a tensor reach as far")


def test_equal_ranges_serve_small_channels(served: onnx.ModelProto) -> None:
    naive, equal = trunk_of(served), trunk_of(served)
    ranges = measure_ranges(naive.model, naive.quantised, small_photos(32))
    exact = features(served)
    errors = [
        np.sqrt(np.mean((features(model) - exact) ** 2, axis=0)) / np.abs(exact).max(axis=0).clip(1e-3)
        for model in (
            quantise(naive, whole(ranges)),
            quantise(equal, whole(equalise(equal, ranges))),
        )
    ]
    assert np.median(errors[1]) < 0.7 * np.median(errors[0])


def test_corrected_biases_take_back_what_rounding_shifts(served: onnx.ModelProto) -> None:
    plain, corrected = trunk_of(served), trunk_of(served)
    ranges = whole(measure_ranges(plain.model, plain.quantised, small_photos(32)))
    correct_biases(corrected, ranges, small_photos(32))
    exact = features(served, count=32)
    shifts = [
        np.abs((features(quantise(trunk, ranges), count=32) - exact).mean(axis=0)).sum()
        for trunk in (plain, corrected)
    ]
    assert shifts[1] < 0.5 * shifts[0]


def trunk_of(model: onnx.ModelProto) -> Int8Trunk:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return Int8Trunk(copy)


def features(model: onnx.ModelProto, count: int = 8) -> np.ndarray:
    """The mean of each channel of the last layer over each photo, [N, C]."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.append(helper.make_tensor_value_info("mean", TensorProto.FLOAT, None))
    return session_of(watched).run(["mean"], {"image": small_photos(count)})[0]


def test_the_same_seed_gives_the_same_graph(served: onnx.ModelProto, rounded: onnx.ModelProto) -> None:
    again = int8_graph(served, small_photos(32), seed=0)
    assert again.SerializeToString(deterministic=True) == rounded.SerializeToString(deterministic=True)


def test_a_graph_without_a_trunk_is_refused() -> None:
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("image", "twice")]
    graph = helper.make_graph(
        [helper.make_node("Add", ["image", "image"], ["twice"])], "no", info[:1], info[1:]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    with pytest.raises(ExportError, match="no trunk"):
        int8_graph(model, small_photos(2), seed=0)


@pytest.fixture
def unfinished(tmp_path: Path, served: onnx.ModelProto) -> tuple[Bundle, list[Record]]:
    """A bundle around the small trunk, and what its fp32 graph says of some photos."""
    path = make_tiny_bundle(tmp_path, size=SIZE)
    onnx.save(served, path / "inspector.onnx")
    bundle = Bundle(path, Bundle.open(path, verify=False).manifest)
    assert bundle.manifest.grid == GRID
    inspector = Inspector(bundle, open_session(path / "inspector.onnx", "cpu", threads=1))
    records = []
    for index, photo in enumerate(small_photos(6, seed=3)):
        sample = painted_sample(tmp_path / f"{index}.png", photo, "clean")
        records.append(Record(sample, inspector.inspect(encode(photo))[0], None))
    return bundle, records


def test_it_is_written_with_its_agreement(unfinished: tuple[Bundle, list[Record]]) -> None:
    bundle, records = unfinished
    variant = write_int8(bundle, records, small_photos(32), seed=0)
    assert isinstance(variant, Variant)
    assert (variant.file, variant.precision) == (FILE, "int8")
    assert (bundle.path / FILE).is_file()
    assert variant.agreement is not None
    assert (variant.agreement.photos, variant.agreement.flips) == (6, 0)
    assert 0.0 < variant.agreement.score <= 0.01


def test_what_disagrees_leaves_no_file_and_says_why(
    unfinished: tuple[Bundle, list[Record]], caplog: pytest.LogCaptureFixture
) -> None:
    bundle, records = unfinished
    told = records[0].inspection
    far = told.anomaly.model_copy(update={"score": 3.0 * bundle.manifest.limits.anomaly})
    elsewhere = told.model_copy(update={"anomaly": far})
    records[0] = Record(records[0].sample, elsewhere, None)
    with caplog.at_level(logging.WARNING):
        reason = write_int8(bundle, records, small_photos(32), seed=0)
    assert isinstance(reason, str)
    assert "allowed: 0.01" in reason
    assert reason in caplog.text
    assert not (bundle.path / FILE).exists()


def test_golden_photos_remember_what_each_graph_gave(
    unfinished: tuple[Bundle, list[Record]], tmp_path: Path
) -> None:
    bundle, records = unfinished
    variant = write_int8(bundle, records, small_photos(32), seed=0)
    assert isinstance(variant, Variant)
    rehearsals = WrittenVariants(written={"int8": variant}).rehearsals(bundle)
    folder = tmp_path / "made"
    folder.mkdir()
    assert write_golden(folder, records, rehearsals).differing == {}
    manifest = bundle.manifest.model_copy(update={"files": {"golden/expected.json": ""}})
    for golden in Bundle(folder, manifest).golden_results():
        outcome = golden.of("int8")
        assert outcome.anomaly_score != golden.anomaly_score
        assert outcome.anomaly_score == pytest.approx(golden.anomaly_score, rel=0.04)
        assert golden.of("fp32") is golden
        assert golden.of("fp16") is golden, "what has no record of its own must give what fp32 gave"
