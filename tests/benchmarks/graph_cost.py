"""What an ONNX graph costs at the least: operations and bytes, and the time a given GPU needs for them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, shape_inference


@dataclass(frozen=True)
class Peak:
    """What a GPU can do at best, by its maker's data sheet, without sparsity: FLOP/s and bytes/s."""

    name: str
    fp16: float
    fp32: float
    memory: float


PEAKS = (
    Peak("NVIDIA H200", fp16=989e12, fp32=67e12, memory=4.8e12),
    Peak("NVIDIA H100 80GB HBM3", fp16=989e12, fp32=67e12, memory=3.35e12),
    Peak("NVIDIA A100-SXM4-80GB", fp16=312e12, fp32=19.5e12, memory=2.04e12),
    Peak("NVIDIA L4", fp16=121e12, fp32=30.3e12, memory=0.3e12),
)


@dataclass(frozen=True)
class Cost:
    """Of one matrix product or convolution: operations (a multiplication and an addition are two), and bytes.

    The bytes are its inputs, weights and output, each moved once: what lies between such nodes (additions,
    activations, pooling) is taken to be fused into them, and so to cost nothing.
    """

    flops: float
    bytes: float
    half: bool


def costs(path: Path, batch: int) -> list[Cost]:
    """The matrix products and convolutions of a graph for a batch of a size."""
    model = onnx.load(path)
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_value = batch
    del model.graph.value_info[:]
    model = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    shapes, kinds = _tensors(model.graph)
    return [
        _cost(node, shapes, kinds) for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")
    ]


def floor_seconds(given: Sequence[Cost], peak: Peak) -> float:
    """The least time: each node takes as long as its operations or its bytes, whichever is longer."""
    return sum(max(c.flops / (peak.fp16 if c.half else peak.fp32), c.bytes / peak.memory) for c in given)


def peak_of(gpu: str) -> Peak | None:
    """The peak of a GPU by its name; None if it is not known here."""
    return next((peak for peak in PEAKS if gpu.startswith(peak.name)), None)


def _tensors(graph: onnx.GraphProto) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
    shapes: dict[str, tuple[int, ...]] = {}
    kinds: dict[str, int] = {}
    for value in [*graph.input, *graph.output, *graph.value_info]:
        tensor = value.type.tensor_type
        shapes[value.name] = tuple(dim.dim_value for dim in tensor.shape.dim)
        kinds[value.name] = tensor.elem_type
    for initialiser in graph.initializer:
        shapes[initialiser.name], kinds[initialiser.name] = tuple(initialiser.dims), initialiser.data_type
    return shapes, kinds


def _cost(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]], kinds: dict[str, int]) -> Cost:
    output = shapes[node.output[0]]
    weight = shapes[node.input[1]]
    if node.op_type == "Conv":
        inner = math.prod(weight[1:])
    elif node.op_type == "Gemm" and _transposed(node):
        inner = weight[-1]
    else:
        inner = weight[-2]
    if 0 in output:
        raise ValueError(f"the shape of {node.output[0]} is not known: {output}")
    moved = sum(math.prod(shapes[name]) * _width(kinds[name]) for name in [*node.input, *node.output] if name)
    return Cost(2.0 * math.prod(output) * inner, float(moved), kinds[node.output[0]] == TensorProto.FLOAT16)


def _transposed(node: onnx.NodeProto) -> bool:
    return any(attribute.name == "transB" and attribute.i for attribute in node.attribute)


def _width(kind: int) -> int:
    return int(np.dtype(helper.tensor_dtype_to_np_dtype(kind)).itemsize)
