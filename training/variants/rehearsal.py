"""Running the trunk twice side by side, in fp32 and as int8 will compute it, to correct what int8 shifts.

Rounding a convolution's weights shifts the mean of each of its channels, and the shifts add up over fifty
layers. So each bias takes back what its channel's mean is off by, in the order of the layers, each on what
those before it really give: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias
Correction, ICCV 2019, section 4.2 and appendix D, on photos instead of on batch-norm statistics.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from onnx import NodeProto, TensorProto, helper
from torch import Tensor

from training.variants.int8_trunk import Int8Trunk
from training.variants.sessions import session_of

_STEPS = 255  # of an activation, unsigned
_WEIGHT_STEPS = 127  # of a weight, to each side of zero
_TINY = 1e-12


@torch.inference_mode()
def correct_biases(
    trunk: Int8Trunk, ranges: Mapping[str, tuple[float, float]], photos: npt.NDArray[np.uint8]
) -> None:
    """Change the trunk's biases in place.

    Args:
        trunk: equalised, in fp32.
        ranges: of each tensor that int8 rounds.
        photos: uint8 [N, H, W, 3] RGB; all are held in memory at once, layer by layer.
    """
    exact = _inputs(trunk, photos)
    rounded = dict(exact)
    in_int8 = {node.output[0] for node in trunk.nodes}
    uses = Counter(name for node in trunk.all_nodes for name in node.input)
    for node in trunk.all_nodes:
        output = node.output[0]
        if node.op_type == "Conv":
            given = exact[node.input[0]], rounded[node.input[0]]
            exact[output], rounded[output] = _correct(trunk, node, *given, in_int8=output in in_int8)
        else:
            exact[output] = _run(node, [exact[name] for name in node.input])
            rounded[output] = _run(node, [rounded[name] for name in node.input])
        if output in ranges:
            rounded[output] = _round(rounded[output], ranges[output])
        for name in node.input:
            uses[name] -= 1
            if uses[name] == 0:
                exact.pop(name, None)
                rounded.pop(name, None)


def _inputs(trunk: Int8Trunk, photos: npt.NDArray[np.uint8]) -> dict[str, Tensor]:
    watched = type(trunk.model)()
    watched.CopyFrom(trunk.model)
    for name in trunk.inputs:
        watched.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = session_of(watched)
    runs = [session.run(trunk.inputs, {"image": photo[None]}) for photo in photos]
    columns = zip(*runs, strict=True)
    return {
        name: torch.from_numpy(np.concatenate(column))
        for name, column in zip(trunk.inputs, columns, strict=True)
    }


def _correct(
    trunk: Int8Trunk, node: NodeProto, exact: Tensor, rounded: Tensor, *, in_int8: bool
) -> tuple[Tensor, Tensor]:
    """What a convolution gives in fp32, and what it will give with its bias corrected."""
    weight = torch.from_numpy(trunk.weight(node.input[1]))
    bias = torch.from_numpy(trunk.weight(node.input[2]))
    options = _options(node)
    wanted = F.conv2d(exact, weight, bias, **options)
    found = F.conv2d(rounded, _round_weight(weight) if in_int8 else weight, bias, **options)
    shift = (wanted - found).mean(dim=(0, 2, 3))
    trunk.set_weight(node.input[2], (bias + shift).numpy())
    return wanted, found + shift[:, None, None]


def _run(node: NodeProto, given: list[Tensor]) -> Tensor:
    if node.op_type == "Add":
        return given[0] + given[1]
    if node.op_type == "Relu":
        return F.relu(given[0])
    options = _options(node)
    return F.max_pool2d(given[0], _attributes(node)["kernel_shape"], options["stride"], options["padding"])


def _options(node: NodeProto) -> dict[str, Any]:
    """A ResNet's convolutions and maxima pad alike on both sides."""
    attributes = _attributes(node)
    options = {
        "stride": tuple(attributes.get("strides", (1, 1))),
        "padding": tuple(attributes.get("pads", (0, 0))[:2]),
    }
    if node.op_type == "Conv":
        options["groups"] = attributes.get("group", 1)
        options["dilation"] = tuple(attributes.get("dilations", (1, 1)))
    return options


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _round(value: Tensor, within: tuple[float, float]) -> Tensor:
    """To one of 256 values that hold zero, as QuantizeLinear does."""
    low, high = within
    step = max((high - low) / _STEPS, _TINY)
    zero = round(-low / step)
    return (torch.clamp(torch.round(value / step) + zero, 0, _STEPS) - zero) * step


def _round_weight(weight: Tensor) -> Tensor:
    """Each output channel to one of 255 values, symmetric round zero."""
    step = (weight.abs().amax(dim=(1, 2, 3), keepdim=True) / _WEIGHT_STEPS).clamp_min(_TINY)
    return torch.clamp(torch.round(weight / step), -_WEIGHT_STEPS, _WEIGHT_STEPS) * step
