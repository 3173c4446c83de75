"""Between which values the channels of the trunk lie on training photos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from training.variants.sessions import session_of

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ChannelRanges:
    """The smallest and the largest value of each channel of a tensor, float32 [C] each."""

    low: Array
    high: Array

    @property
    def largest(self) -> Array:
        """The largest magnitude of each channel, [C]."""
        largest: Array = np.maximum(np.abs(self.low), np.abs(self.high))
        return largest

    def divided_by(self, scale: Array) -> "ChannelRanges":
        """The ranges after each channel was divided by its scale."""
        return ChannelRanges(self.low / scale, self.high / scale)


def measure_ranges(
    model: onnx.ModelProto, tensors: Sequence[str], photos: npt.NDArray[np.uint8]
) -> dict[str, ChannelRanges]:
    """Run photos, uint8 [N, H, W, 3] RGB, and note the ranges of some tensors, [N, C, h, w] each."""
    names = [(tensor, f"{tensor}/low", f"{tensor}/high") for tensor in tensors]
    axes = numpy_helper.from_array(np.array([0, 2, 3], dtype=np.int64), "ranges/axes")
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.initializer.append(axes)
    for tensor, low, high in names:
        for kind, output in (("ReduceMin", low), ("ReduceMax", high)):
            node = helper.make_node(kind, [tensor, axes.name], [output], name=output, keepdims=0)
            watched.graph.node.append(node)
            watched.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, ["C"]))
    session = session_of(watched)
    wanted = [output for _, low, high in names for output in (low, high)]
    runs = [session.run(wanted, {"image": photo[None]}) for photo in photos]
    found = {output: np.stack([run[index] for run in runs]) for index, output in enumerate(wanted)}
    return {t: ChannelRanges(found[low].min(axis=0), found[high].max(axis=0)) for t, low, high in names}


def whole(ranges: Mapping[str, ChannelRanges]) -> dict[str, tuple[float, float]]:
    """One range a tensor, which holds all its channels and zero, since padding is zero."""
    return {name: (min(0.0, float(r.low.min())), max(0.0, float(r.high.max()))) for name, r in ranges.items()}
