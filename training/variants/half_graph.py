"""The served graph with its trunk in half precision (fp16), and the same graph acted out in fp32.

fp16 keeps 11 bits of mantissa: enough for the features of a ResNet, too few for PaDiM's distances, since
whitening magnifies what hardly varies. So casts stand at the seams: the trunk's convolutions and what lies
between them are fp16; normalisation, projection, distances, smoothing, read-out and softmax stay fp32.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from models.errors import ExportError

# The exporter names weights after the module that holds them (`models/networks/joint.py`).
_TRUNK = ("trunk.", "head.layer4.")
_BETWEEN = frozenset({"Add", "MaxPool", "Relu"})


def half_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the served graph whose trunk is fp16: the same inputs and outputs, uint8 and float32.

    Raises:
        ExportError: when there is no trunk in it, or a weight is too large for fp16.
    """
    trunk = _Trunk(model.graph)
    nodes: list[NodeProto] = []
    cast: dict[str, str] = {}

    def given(name: str, to: int) -> str:
        if name not in cast:
            cast[name] = f"{name}_as_{'half' if to == TensorProto.FLOAT16 else 'single'}"
            nodes.append(helper.make_node("Cast", [name], [cast[name]], to=to))
        return cast[name]

    for node in model.graph.node:
        copy = _copy(node)
        if trunk.holds(node):
            copy.input[:] = [
                name if name in trunk.tensors | trunk.weights else given(name, TensorProto.FLOAT16)
                for name in node.input
            ]
        else:
            copy.input[:] = [
                given(name, TensorProto.FLOAT) if name in trunk.tensors else name for name in node.input
            ]
        nodes.append(copy)
    return _rebuilt(model, nodes, trunk, _halved)


def acted_out(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the served graph in fp32 that rounds as `half_graph` does on a GPU.

    ONNX Runtime runs `half_graph` on a CPU in fp32 from end to end, and rounds little but the weights. Here
    the weights are rounded, and so is what every node of the trunk gives: sums are fp32, as in tensor cores,
    results fp16.

    Raises:
        ExportError: as `half_graph`.
    """
    trunk = _Trunk(model.graph)
    nodes: list[NodeProto] = []
    rounded: dict[str, str] = {}

    def rounding(name: str) -> None:
        rounded[name] = f"{name}_rounded"
        nodes.append(helper.make_node("Cast", [name], [f"{name}_half"], to=TensorProto.FLOAT16))
        nodes.append(helper.make_node("Cast", [f"{name}_half"], [rounded[name]], to=TensorProto.FLOAT))

    for node in model.graph.node:
        inside = trunk.holds(node)
        for name in node.input:
            if inside and name not in rounded and name not in trunk.weights:
                rounding(name)
        copy = _copy(node)
        if inside or trunk.tensors.intersection(node.input):
            copy.input[:] = [rounded.get(name, name) for name in node.input]
        nodes.append(copy)
        if inside:
            rounding(node.output[0])
    return _rebuilt(model, nodes, trunk, lambda weight: _halved(weight).astype(np.float32))


class _Trunk:
    """Which nodes of a graph are the trunk: its convolutions by their weights' names, and what joins them."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        names = {initialiser.name for initialiser in graph.initializer}
        self.tensors: set[str] = set()
        self.weights: set[str] = set()
        for node in graph.node:
            convolution = node.op_type == "Conv" and node.input[1].startswith(_TRUNK)
            between = node.op_type in _BETWEEN and self.tensors.issuperset(node.input)
            if convolution or between:
                self.tensors.update(node.output)
                self.weights.update(names.intersection(node.input))
        if not self.tensors:
            raise ExportError(
                "The graph has no trunk that could be fp16: no convolution is named after it.",
                "Report this with the versions that `pip list` prints.",
            )

    def holds(self, node: NodeProto) -> bool:
        return node.output[0] in self.tensors


def _rebuilt(
    model: onnx.ModelProto,
    nodes: list[NodeProto],
    trunk: _Trunk,
    convert: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.generic]],
) -> onnx.ModelProto:
    old = model.graph
    graph = helper.make_graph(nodes, old.name, old.input, old.output)
    graph.initializer.extend(_initialisers(old, trunk, convert))
    return helper.make_model(
        graph,
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
        producer_name=model.producer_name,
        doc_string=model.doc_string,
    )


def _initialisers(
    graph: onnx.GraphProto,
    trunk: _Trunk,
    convert: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.generic]],
) -> Iterator[TensorProto]:
    for initialiser in graph.initializer:
        if initialiser.name in trunk.weights:
            weight = convert(numpy_helper.to_array(initialiser))
            yield numpy_helper.from_array(np.ascontiguousarray(weight), initialiser.name)
        else:
            yield initialiser


def _halved(weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    with np.errstate(over="ignore"):
        half = weight.astype(np.float16)
    if not np.isfinite(half).all():
        raise ExportError(
            f"A weight of the trunk is {np.abs(weight).max():.3g}, too large for fp16.",
            "Use another trunk (--trunk), or serve in fp32.",
        )
    return half


def _copy(node: NodeProto) -> NodeProto:
    copy = NodeProto()
    copy.CopyFrom(node)
    return copy
