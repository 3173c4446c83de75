"""Giving the channels of a tensor like ranges, so that eight bits serve all of them.

A channel may be divided by a scale where it is made and multiplied by it where it is used: rectifiers, sums
and maxima between do not mind a positive scale. Nagel et al., Data-Free Quantization Through Weight
Equalization and Bias Correction, ICCV 2019, section 4.1; here only activations decide on the scales, since
weights have a scale a channel of their own.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, helper, numpy_helper

from training.variants.int8_trunk import Int8Trunk
from training.variants.ranges import ChannelRanges

Array = npt.NDArray[np.float32]

# A channel that hardly ever speaks is not magnified without end.
_SMALLEST_SCALE = 0.02
# Nodes that a positive scale a channel passes through.
_PASSING = frozenset({"AveragePool", "ReduceMax", "ReduceMean"})


def equalise(trunk: Int8Trunk, ranges: Mapping[str, ChannelRanges]) -> dict[str, ChannelRanges]:
    """Rescale the trunk's channels in place; what the graph computes stays the same.

    Returns:
        The ranges that follow.
    """
    scales = _scales(trunk, ranges)
    for node in trunk.all_nodes:
        if node.op_type != "Conv":
            continue
        weight, bias = trunk.weight(node.input[1]), trunk.weight(node.input[2])
        if (after := scales.get(trunk.group(node.output[0]))) is not None:
            weight, bias = weight / after[:, None, None, None], bias / after
        if (before := scales.get(trunk.group(node.input[0]))) is not None:
            weight = weight * before[None, :, None, None]
        trunk.set_weight(node.input[1], weight)
        trunk.set_weight(node.input[2], bias)
    inside = {node.output[0] for node in trunk.all_nodes}
    for node in trunk.outside():
        for position, name in enumerate(node.input):
            if name in inside and (scale := scales.get(trunk.group(name))) is not None:
                _undo(trunk, node, position, scale)
    return {
        name: r.divided_by(scales[trunk.group(name)]) if trunk.group(name) in scales else r
        for name, r in ranges.items()
    }


def _scales(trunk: Int8Trunk, ranges: Mapping[str, ChannelRanges]) -> dict[str, Array]:
    """The scale of each channel, [C], by the group of tensors that share it; the input's is not changed."""
    made = {trunk.group(node.output[0]) for node in trunk.all_nodes}
    shares: dict[str, list[Array]] = {}
    for name, r in ranges.items():
        if trunk.group(name) in made and (top := float(r.largest.max())) > 0.0:
            shares.setdefault(trunk.group(name), []).append(r.largest / top)
    return {
        group: np.maximum(np.max(columns, axis=0), _SMALLEST_SCALE).astype(np.float32)
        for group, columns in shares.items()
    }


def _undo(trunk: Int8Trunk, node: NodeProto, position: int, scale: Array) -> None:
    """Give a node outside of the trunk what it would have seen, as late as that is right."""
    graph = trunk.model.graph
    if node.op_type == "Conv" and position == 0 and trunk.has_weight(node.input[1]):
        trunk.set_weight(node.input[1], trunk.weight(node.input[1]) * scale[None, :, None, None])
        return
    if node.op_type in _PASSING:
        if node.op_type == "AveragePool":
            followers = [
                (n, i) for n in graph.node for i, name in enumerate(n.input) if name == node.output[0]
            ]
            for follower, index in followers:
                _undo(trunk, follower, index, scale)
            return
        shape = (-1,) if not _keeps_dimensions(node) else (-1, 1, 1)
        _multiply_output(trunk, node, scale.reshape(shape))
        return
    _multiply_input(trunk, node, position, scale.reshape(-1, 1, 1))


def _keeps_dimensions(node: NodeProto) -> bool:
    return bool(next((a.i for a in node.attribute if a.name == "keepdims"), 1))


def _multiply_output(trunk: Int8Trunk, node: NodeProto, scale: Array) -> None:
    graph, output = trunk.model.graph, node.output[0]
    inner, name = f"{output}/equalised", f"{output}/scale"
    place = _index(trunk, node) + 1
    node.output[0] = inner
    graph.initializer.append(numpy_helper.from_array(scale, name))
    graph.node.insert(place, helper.make_node("Mul", [inner, name], [output], name=f"{output}/undo"))


def _multiply_input(trunk: Int8Trunk, node: NodeProto, position: int, scale: Array) -> None:
    graph, given = trunk.model.graph, node.input[position]
    outer, name = f"{given}/for/{node.output[0]}/{position}", f"{given}/scale/{node.output[0]}/{position}"
    node.input[position] = outer
    graph.initializer.append(numpy_helper.from_array(scale, name))
    graph.node.insert(_index(trunk, node), helper.make_node("Mul", [given, name], [outer], name=outer))


def _index(trunk: Int8Trunk, node: NodeProto) -> int:
    nodes = trunk.model.graph.node
    return next(i for i, other in enumerate(nodes) if other.output[0] == node.output[0])
