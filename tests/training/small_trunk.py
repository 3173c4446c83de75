"""A served graph like ResNet50's with three small blocks, whose channels differ a hundredfold in size."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

SIZE = (64, 64)
GRID = (8, 8)
_NAMES = ("trunk.layer1.0", "trunk.layer1.1", "trunk.layer2.0")
_WIDTH, _OUT = 8, 16


@dataclass
class _Graph:
    """Nodes and weights as they are added."""

    random: np.random.Generator
    nodes: list[NodeProto] = field(default_factory=list)
    weights: dict[str, npt.NDArray[np.generic]] = field(default_factory=dict)

    def add(self, kind: str, given: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, given, [output], name=f"node_{output}", **attributes))
        return output

    def convolve(self, name: str, given: str, channels: tuple[int, int], kernel: int, stride: int = 1) -> str:
        """A convolution whose output channels differ in size, as folded batch norms make them."""
        inside, outside = channels
        size = np.exp(self.random.uniform(-2.3, 2.3, outside))
        spread = size[:, None, None, None] / np.sqrt(inside * kernel * kernel)
        weight = self.random.normal(0.1, 1.0, (outside, inside, kernel, kernel)) * spread
        self.weights[f"{name}.weight"] = weight.astype(np.float32)
        self.weights[f"{name}.weight_bias"] = (0.3 * size * self.random.normal(size=outside)).astype(
            np.float32
        )
        pad = kernel // 2
        return self.add(
            "Conv",
            [given, f"{name}.weight", f"{name}.weight_bias"],
            name,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[pad] * 4,
        )


def small_trunk_graph(seed: int = 0) -> onnx.ModelProto:
    """`image` uint8 [N, 64, 64, 3] to `probabilities` [N, 2], `anomaly_map` [N, 8, 8] and the score [N]."""
    graph = _Graph(np.random.default_rng(seed))
    graph.weights |= {
        "scale": np.float32(1 / 64),
        "hw": np.int64([2, 3]),
        "one": np.int64([1]),
        "map_hw": np.int64([1, 2]),
        "fc.weight": (0.05 * graph.random.normal(size=(2, 2 * _OUT))).astype(np.float32),
        "fc.bias": np.float32([0.0, -1.0]),
    }
    graph.add("Transpose", ["image"], "planes", perm=[0, 3, 1, 2])
    graph.add("Cast", ["planes"], "floats", to=TensorProto.FLOAT)
    graph.add("Mul", ["floats", "scale"], "normal")
    graph.add("Relu", [graph.convolve("trunk.stem.conv1", "normal", (3, _WIDTH), 3, stride=2)], "stem")
    last = graph.add("MaxPool", ["stem"], "pooled", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    layers = [last := _block(graph, name, last) for name in _NAMES]
    _heads(graph, layers[1], layers[2])
    made = helper.make_graph(
        graph.nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", *SIZE, 3])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 2]),
            helper.make_tensor_value_info("anomaly_map", TensorProto.FLOAT, ["N", *GRID]),
            helper.make_tensor_value_info("anomaly_score", TensorProto.FLOAT, ["N"]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in graph.weights.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def _block(graph: _Graph, name: str, given: str) -> str:
    first = name.endswith(".0")
    channels = _WIDTH if name == _NAMES[0] else _OUT
    stride = 2 if name == _NAMES[2] else 1
    one = graph.add("Relu", [graph.convolve(f"{name}.conv1", given, (channels, _WIDTH), 1)], f"{name}.relu1")
    two = graph.add(
        "Relu", [graph.convolve(f"{name}.conv2", one, (_WIDTH, _WIDTH), 3, stride)], f"{name}.relu2"
    )
    three = graph.convolve(f"{name}.conv3", two, (_WIDTH, _OUT), 1)
    beside = graph.convolve(f"{name}.downsample.0", given, (channels, _OUT), 1, stride) if first else given
    return graph.add("Relu", [graph.add("Add", [three, beside], f"{name}.sum")], f"{name}.out")


def _heads(graph: _Graph, layer1: str, layer2: str) -> None:
    """A projection after pooling, distances, and a read-out of means and maxima."""
    graph.add("AveragePool", [layer1], "coarse", kernel_shape=[2, 2], strides=[2, 2])
    projected = graph.convolve("padim.projection", "coarse", (_OUT, 4), 1)
    graph.add("Mul", [projected, projected], "squares")
    graph.add("ReduceSum", ["squares", "one"], "squared", keepdims=0)
    graph.add("Sqrt", ["squared"], "anomaly_map")
    graph.add("ReduceMax", ["anomaly_map", "map_hw"], "anomaly_score", keepdims=0)
    graph.add("ReduceMean", [layer2, "hw"], "mean", keepdims=0)
    graph.add("ReduceMax", [layer2, "hw"], "kept_max", keepdims=1)
    graph.add("Flatten", ["kept_max"], "max")
    graph.add("Concat", ["mean", "max"], "features", axis=1)
    graph.add("Tanh", ["features"], "bounded")
    graph.add("Gemm", ["bounded", "fc.weight", "fc.bias"], "logits", transB=1)
    graph.add("Softmax", ["logits"], "probabilities", axis=1)


def small_photos(count: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Smooth random photos, uint8 [N, 64, 64, 3]."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3))
    return np.kron(coarse, np.ones((1, 8, 8, 1))).astype(np.uint8)
