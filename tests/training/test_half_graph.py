"""The fp16 graph: casts at the seams, and nothing else changed; on the CPU its rounding is acted out."""

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.errors import ExportError
from training.variants.half_graph import acted_out, half_graph

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)


def graph(*, prefix: str = "trunk", gain: float = 0.3, depth: int = 2) -> onnx.ModelProto:
    """Normalisation, `depth` convolutions with what lies between them, one outside, and their means."""
    random = np.random.default_rng(1)
    values: dict[str, Any] = {"scale": np.float32(1 / 255), "hw": np.int64([2, 3])}
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["normal"]),
    ]
    last = "normal"
    for step in range(depth):
        values[f"{prefix}.conv{step}.weight"] = (gain * random.normal(size=(3, 3, 1, 1))).astype(np.float32)
        values[f"{prefix}.conv{step}.bias"] = np.full(3, 0.1, np.float32)
        weights = [f"{prefix}.conv{step}.weight", f"{prefix}.conv{step}.bias"]
        nodes += [
            helper.make_node("Conv", [last, *weights], [f"conv{step}"]),
            helper.make_node("Relu", [f"conv{step}"], [f"relu{step}"]),
            helper.make_node("MaxPool", [f"relu{step}"], [f"pool{step}"], kernel_shape=[1, 1]),
        ]
        last = f"pool{step}"
    values["padim.projection.weight"] = random.normal(size=(2, 3, 1, 1)).astype(np.float32)
    nodes += [
        helper.make_node("Add", [last, "pool0"], ["sum"]),
        helper.make_node("Conv", ["sum", "padim.projection.weight"], ["projected"]),
        helper.make_node("ReduceMean", ["projected", "hw"], ["projection"], keepdims=0),
        helper.make_node("ReduceMean", ["sum", "hw"], ["features"], keepdims=0),
    ]
    made = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 8, 8, 3])],
        [
            helper.make_tensor_value_info("projection", TensorProto.FLOAT, ["N", 2]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 3]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def run(model: onnx.ModelProto) -> list[Any]:
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, {"image": IMAGES}))


def kinds(model: onnx.ModelProto) -> dict[str, int]:
    return {initialiser.name: initialiser.data_type for initialiser in model.graph.initializer}


def test_the_trunk_is_fp16_and_the_rest_is_not() -> None:
    kind = kinds(half_graph(graph()))
    assert kind["trunk.conv0.weight"] == kind["trunk.conv1.bias"] == TensorProto.FLOAT16
    assert kind["padim.projection.weight"] == kind["scale"] == TensorProto.FLOAT


def test_layer4_counts_as_trunk() -> None:
    assert (
        kinds(half_graph(graph(prefix="head.layer4.0")))["head.layer4.0.conv1.weight"] == TensorProto.FLOAT16
    )


def test_casts_stand_at_the_seams_alone() -> None:
    model = half_graph(graph())
    casts = [(node.input[0], node.attribute[0].i) for node in model.graph.node if node.op_type == "Cast"]
    assert casts == [
        ("planes", TensorProto.FLOAT),
        ("normal", TensorProto.FLOAT16),
        ("sum", TensorProto.FLOAT),
    ]


def test_inputs_and_outputs_stay_as_they_were() -> None:
    before, after = graph(), half_graph(graph())
    assert list(after.graph.input) == list(before.graph.input)
    assert list(after.graph.output) == list(before.graph.output)


@pytest.mark.parametrize("other", [half_graph, acted_out])
def test_it_gives_nearly_the_same(other: Any) -> None:
    for a, b in zip(run(other(graph())), run(graph()), strict=True):
        assert np.allclose(a, b, rtol=5e-3, atol=5e-3)
        assert not np.array_equal(a, b), "something was rounded"


def test_acting_out_rounds_after_every_node_as_fp16_does() -> None:
    """By hand, in numpy: what the trunk gives of the first image."""
    model = graph(depth=2)
    weights = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}

    def half(values: Any) -> Any:
        return np.float32(np.float16(values))

    layer = half(np.float32(IMAGES[0].transpose(2, 0, 1)) * weights["scale"])
    pooled = []
    for step in range(2):
        weight, bias = (
            half(weights[f"trunk.conv{step}.weight"][:, :, 0, 0]),
            half(weights[f"trunk.conv{step}.bias"]),
        )
        layer = half(np.maximum(half(np.einsum("oc,chw->ohw", weight, layer) + bias[:, None, None]), 0))
        pooled.append(layer)
    wanted = half(pooled[0] + pooled[1]).mean(axis=(1, 2))
    assert np.allclose(run(acted_out(model))[1][0], wanted, rtol=0, atol=2e-6)
    assert not np.allclose(run(model)[1][0], wanted, rtol=0, atol=2e-6)


def test_the_graph_that_was_given_is_left_as_it_was() -> None:
    model = graph()
    before = model.SerializeToString()
    half_graph(model), acted_out(model)
    assert model.SerializeToString() == before


@pytest.mark.parametrize("other", [half_graph, acted_out])
def test_a_graph_without_a_trunk_is_refused(other: Any) -> None:
    with pytest.raises(ExportError, match="no trunk"):
        other(graph(prefix="body"))


@pytest.mark.parametrize("other", [half_graph, acted_out])
def test_a_weight_beyond_fp16_is_refused(other: Any) -> None:
    with pytest.raises(ExportError, match="too large for fp16"):
        other(graph(gain=1e6))
