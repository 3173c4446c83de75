"""The served graph with its trunk in int8: Q and DQ nodes in the trunk, heads in fp32."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from training.variants.equalisation import equalise
from training.variants.int8_trunk import Int8Trunk
from training.variants.ranges import measure_ranges, whole
from training.variants.rehearsal import correct_biases

# Photos whose ranges are measured and on which biases are corrected, at 224 x 224; fewer if they are larger:
# both take time by the pixel, and the latter a kilobyte of memory a pixel.
MEASURED, FEWEST_MEASURED = 48, 12
CORRECTED, FEWEST_CORRECTED = 16, 4
_USUAL_PIXELS = 224 * 224


def int8_graph(model: onnx.ModelProto, photos: npt.NDArray[np.uint8], seed: int) -> onnx.ModelProto:
    """A copy of the served graph whose trunk is int8: the same inputs and outputs, uint8 and float32.

    Activations are unsigned, one scale a tensor; weights signed, one scale a channel. The stem, most of
    the first block, and the heads stay fp32.

    Args:
        model: the served graph in fp32.
        photos: training photos, uint8 [N, H, W, 3] RGB at the model's size; a seeded sample of them is used.
        seed: of the sample.

    Raises:
        ExportError: when there is no trunk in it.
    """
    share = min(1.0, _USUAL_PIXELS / (photos.shape[1] * photos.shape[2]))
    shuffled = np.random.default_rng(seed).permutation(len(photos))
    sample = photos[shuffled[: max(FEWEST_MEASURED, round(share * MEASURED))]]
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    trunk = Int8Trunk(copy)
    ranges = whole(equalise(trunk, measure_ranges(trunk.model, trunk.quantised, sample)))
    correct_biases(trunk, ranges, sample[: max(FEWEST_CORRECTED, round(share * CORRECTED))])
    quantised = quantise(trunk, ranges)
    quantised.producer_name, quantised.doc_string = model.producer_name, f"{model.doc_string}, trunk in int8"
    return quantised


def quantise(trunk: Int8Trunk, ranges: Mapping[str, tuple[float, float]]) -> onnx.ModelProto:
    """The trunk's graph with Q and DQ nodes, and its weights as 8-bit numbers; the trunk is used up.

    Args:
        trunk: in fp32.
        ranges: of each tensor that is to be 8 bits wide.
    """
    known = dict(ranges)
    for node in trunk.nodes:
        if node.op_type == "Relu":
            # The quantiser asks for it, though it drops the rectifier: what it gives is never below zero.
            known[node.input[0]] = ranges[node.output[0]]
    columns = {name: tuple(np.array([v], dtype=np.float32) for v in r) for name, r in known.items()}
    quantiser = QDQQuantizer(
        trunk.model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, columns),
        nodes_to_quantize=[node.name for node in trunk.nodes],
        nodes_to_exclude=[],
        op_types_to_quantize=sorted({node.op_type for node in trunk.nodes}),
        extra_options={"WeightSymmetric": True, "ActivationSymmetric": False},
    )
    quantiser.quantize_model()
    quantiser.model.topological_sort()
    quantised: onnx.ModelProto = quantiser.model.model
    return quantised
