"""The fp16 form of a bundle is written when it agrees with fp32, and otherwise the reason is said."""

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.bundle import Bundle
from models.inspector import Inspector
from models.manifest import Variant
from models.session import open_session
from tests.tiny_bundle import encode, make_tiny_bundle
from training.data.samples import Sample
from training.summary import Record
from training.variants.agreement import NEAR_THE_LIMIT, SPREAD, chosen_records
from training.variants.fp16 import FILE, write_fp16

GREYS = range(58, 200, 4)


def graph(gain: float) -> onnx.ModelProto:
    """A trunk that takes the mean of the channels; the anomaly is `gain` times its distance from mid-grey."""
    values = {
        "scale": np.float32(1 / 255),
        "trunk.mean.weight": np.full((1, 3, 1, 1), 1 / 3, np.float32),
        "grey": np.float32(130 / 255),
        "gain": np.float32(gain),
        "channel": np.int64([1]),
        "hw": np.int64([1, 2]),
        "zero": np.float32(0),
        "one": np.float32(1),
    }
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["normal"]),
        helper.make_node("Conv", ["normal", "trunk.mean.weight"], ["mean"]),
        helper.make_node("AveragePool", ["mean"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Squeeze", ["pooled", "channel"], ["grid"]),
        helper.make_node("Sub", ["grid", "grey"], ["centred"]),
        helper.make_node("Abs", ["centred"], ["distance"]),
        helper.make_node("Mul", ["distance", "gain"], ["anomaly_map"]),
        helper.make_node("ReduceMax", ["anomaly_map", "hw"], ["anomaly_score"], keepdims=0),
        helper.make_node("Mul", ["anomaly_score", "zero"], ["zeros"]),
        helper.make_node("Add", ["zeros", "one"], ["ones"]),
        helper.make_node("Unsqueeze", ["ones", "channel"], ["probabilities"]),
    ]
    made = helper.make_graph(
        nodes,
        "grey",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 64, 64, 3])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 1]),
            helper.make_tensor_value_info("anomaly_map", TensorProto.FLOAT, ["N", 8, 8]),
            helper.make_tensor_value_info("anomaly_score", TensorProto.FLOAT, ["N"]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def bundle_with(folder: Path, gain: float) -> tuple[Bundle, list[Record]]:
    """A bundle around the graph, and what it says of grey photos."""
    path = make_tiny_bundle(folder, classes=("clean",))
    bundle = Bundle.open(path)
    onnx.save(graph(gain), path / "inspector.onnx")
    inspector = Inspector(bundle, open_session(path / "inspector.onnx", "cpu", threads=1))
    records = []
    for grey in GREYS:
        photo = folder / f"{grey}.png"
        photo.write_bytes(encode(np.full((64, 64, 3), grey, np.uint8)))
        answer, _, _ = inspector.inspect(photo.read_bytes())
        sample = Sample(path=photo, name=photo.name, label="clean", sha256="", height=64, width=64)
        records.append(Record(sample, answer, None))
    return bundle, records


def test_it_is_written_with_what_was_measured(tmp_path: Path) -> None:
    bundle, records = bundle_with(tmp_path, gain=12.0)
    variant = write_fp16(bundle, records)
    assert isinstance(variant, Variant)
    assert (variant.file, variant.precision) == (FILE, "fp16")
    assert variant.agreement is not None
    assert variant.agreement.flips == 0
    assert variant.agreement.photos == NEAR_THE_LIMIT + SPREAD
    assert 0.0 < variant.agreement.score <= 0.005
    weights = {i.name: i.data_type for i in onnx.load(bundle.path / FILE).graph.initializer}
    assert weights["trunk.mean.weight"] == TensorProto.FLOAT16


def test_it_is_not_written_where_rounding_turns_a_verdict(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle, records = bundle_with(tmp_path, gain=1e5)
    with caplog.at_level(logging.WARNING):
        reason = write_fp16(bundle, records)
    assert isinstance(reason, str)
    assert reason.startswith("scores differ from fp32")
    assert "1 of 16 verdicts" in reason
    assert reason in caplog.text
    assert not (bundle.path / FILE).exists()


def test_without_photos_to_compare_it_is_not_written(tmp_path: Path) -> None:
    bundle, _ = bundle_with(tmp_path, gain=12.0)
    assert write_fp16(bundle, []) == "there is no photo to compare it with fp32 on"
    assert not (bundle.path / FILE).exists()


def test_a_graph_without_a_trunk_has_no_fp16_form(tmp_path: Path) -> None:
    bundle, records = bundle_with(tmp_path, gain=12.0)
    model = graph(gain=12.0)
    for node in model.graph.node:
        node.input[:] = [name.replace("trunk.", "body.") for name in node.input]
    for initialiser in model.graph.initializer:
        initialiser.name = initialiser.name.replace("trunk.", "body.")
    onnx.save(model, bundle.path / "inspector.onnx")
    assert "no trunk" in str(write_fp16(bundle, records))


def test_the_photos_nearest_to_the_limit_are_compared(tmp_path: Path) -> None:
    _, records = bundle_with(tmp_path, gain=12.0)
    chosen = chosen_records(records)
    assert len(chosen) == NEAR_THE_LIMIT + SPREAD
    doubt = [abs((record.inspection.score or 0.0) - 0.5) for record in records]
    assert (
        sorted(doubt)[:NEAR_THE_LIMIT]
        == sorted(abs((record.inspection.score or 0.0) - 0.5) for record in chosen)[:NEAR_THE_LIMIT]
    )
    scores = [record.inspection.score or 0.0 for record in chosen]
    assert max(scores) - min(scores) > 0.3, "not of the doubtful ones alone"
