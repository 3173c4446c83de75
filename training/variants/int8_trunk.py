"""The part of the served graph that int8 computes, and how its channels hang together."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, numpy_helper

from models.errors import ExportError

Array = npt.NDArray[np.float32]

# The exporter names weights after the module that holds them (`models/networks/joint.py`).
_TRUNK = ("trunk.", "head.layer4.")
# Rounding what comes in here is magnified by all that follows: half of the error at the end of layer1 came
# from the first block's input alone. Together they are 6 % of the work.
_KEPT_IN_FP32 = (
    "trunk.stem.",
    "trunk.layer1.0.conv1.",
    "trunk.layer1.0.conv3.",
    "trunk.layer1.0.downsample.",
)
_BETWEEN = frozenset({"Add", "MaxPool", "Relu"})


class Int8Trunk:
    """The convolutions of the trunk, the additions, maxima and rectifiers between them, and their weights.

    Attributes:
        model: the served graph in fp32, with shapes; its weights are changed in place.
        all_nodes: the trunk's nodes, in order.
        nodes: those of them that int8 computes; the others stay fp32.
        quantised: the tensors that are 8 bits wide: what `nodes` take and give. A rectifier takes its input
            as it comes from the sums, so that only its output counts.
        inputs: what comes into the trunk.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = onnx.shape_inference.infer_shapes(model)
        self._initialisers = {i.name: i for i in self.model.graph.initializer}
        self._parents: dict[str, str] = {}
        self.all_nodes: list[NodeProto] = []
        self.nodes: list[NodeProto] = []
        self._collect()
        if not any(node.op_type == "Conv" for node in self.nodes):
            raise ExportError(
                "The graph has no trunk that could be int8: no convolution is named after it.",
                "Report this with the versions that `pip list` prints.",
            )
        rectified = {node.input[0] for node in self.nodes if node.op_type == "Relu"}
        tensors = [name for node in self.nodes for name in (*_activations(node), node.output[0])]
        self.quantised = list(dict.fromkeys(name for name in tensors if name not in rectified))
        made = {node.output[0] for node in self.all_nodes}
        taken = [name for node in self.all_nodes for name in _activations(node)]
        self.inputs = list(dict.fromkeys(name for name in taken if name not in made))

    def _collect(self) -> None:
        trunk: set[str] = set()
        kept: set[str] = set()
        for node in self.model.graph.node:
            convolution = node.op_type == "Conv" and node.input[1].startswith(_TRUNK)
            between = node.op_type in _BETWEEN and trunk.issuperset(node.input)
            if not (convolution or between):
                continue
            self.all_nodes.append(node)
            trunk.update(node.output)
            if (convolution and node.input[1].startswith(_KEPT_IN_FP32)) or (
                between and kept.issuperset(node.input)
            ):
                kept.update(node.output)
            else:
                self.nodes.append(node)
            if between:
                for name in node.input:
                    self._parents[self.group(name)] = self.group(node.output[0])

    def group(self, tensor: str) -> str:
        """A name for all tensors that share their channels with this one, since sums and maxima join them."""
        while tensor in self._parents:
            tensor = self._parents[tensor]
        return tensor

    def weight(self, name: str) -> Array:
        """A copy of an initialiser."""
        return np.array(numpy_helper.to_array(self._initialisers[name]), dtype=np.float32)

    def set_weight(self, name: str, value: npt.NDArray[np.floating]) -> None:
        """Replace an initialiser."""
        given = np.ascontiguousarray(value, dtype=np.float32)
        self._initialisers[name].CopyFrom(numpy_helper.from_array(given, name))

    def has_weight(self, name: str) -> bool:
        """Whether it is an initialiser."""
        return name in self._initialisers

    def outside(self) -> Iterator[NodeProto]:
        """The nodes that are not of the trunk: what comes before it, and the heads."""
        inside = {node.output[0] for node in self.all_nodes}
        return (node for node in list(self.model.graph.node) if node.output[0] not in inside)


def _activations(node: NodeProto) -> list[str]:
    return [node.input[0]] if node.op_type == "Conv" else list(node.input)
