"""From torch to ONNX, and the proof that nothing was lost on the way."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn

from models.errors import ExportError
from models.networks.free_padim import FreePadim
from models.networks.joint import ClassifierGraph, JointGraph, PadimGraph
from models.networks.padim import Padim
from models.networks.resnet import Head, Trunk
from models.session import open_session

OPSET = 18
LARGEST_PROBABILITY_ERROR = 1e-4
LARGEST_RELATIVE_SCORE_ERROR = 1e-3
FEWEST_COMPARED = 16

_OUTPUTS = {
    "inspector": ("probabilities", "anomaly_map", "anomaly_score"),
    "classifier": ("probabilities",),
    "padim": ("anomaly_map", "anomaly_score"),
}


def export_graphs(
    folder: Path, trunk: Trunk, head: Head | None, padim: Padim | FreePadim, size: tuple[int, int]
) -> dict[str, nn.Module]:
    """Write `inspector.onnx`, `padim.onnx` and, with a head, `classifier.onnx` into `folder`.

    Each takes `image` uint8 [N, height, width, 3] RGB with any N, and passes `onnx.checker`. The single
    models are cut out of the joint graph: they hold the same numbers, and torch is translated only once.

    Returns:
        The torch module behind each file, by its stem.
    """
    graphs: dict[str, nn.Module] = {
        "inspector": JointGraph(trunk, head, padim).cpu().eval(),
        "padim": PadimGraph(trunk, padim).cpu().eval(),
    }
    if head is not None:
        graphs["classifier"] = ClassifierGraph(trunk, head).cpu().eval()
    path = folder / "inspector.onnx"
    _translate(graphs["inspector"], path, _OUTPUTS["inspector"], size)
    joint = onnx.load(path)
    for name in graphs:
        model = joint if name == "inspector" else _cut_out(joint, _OUTPUTS[name])
        model.producer_name, model.doc_string = "glint", f"Glint {name}"
        onnx.save(model, folder / f"{name}.onnx")
        onnx.checker.check_model(str(folder / f"{name}.onnx"), full_check=True)
    return graphs


def _translate(graph: nn.Module, path: Path, outputs: Sequence[str], size: tuple[int, int]) -> None:
    example = torch.zeros((2, *size, 3), dtype=torch.uint8)
    with _quiet_exporter():
        torch.onnx.export(
            graph,
            (example,),
            path,
            input_names=["image"],
            output_names=list(outputs),
            dynamic_shapes={"image": {0: torch.export.Dim("N", min=1, max=1024)}},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _cut_out(model: onnx.ModelProto, outputs: Sequence[str]) -> onnx.ModelProto:
    """The part of a model that some of its outputs need."""
    needed, nodes = set(outputs), []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            nodes.append(node)
            needed.update(node.input)
    part = onnx.ModelProto()
    for name in ("ir_version", "producer_version"):
        setattr(part, name, getattr(model, name))
    part.opset_import.extend(model.opset_import)
    graph = part.graph
    graph.name = model.graph.name
    graph.node.extend(reversed(nodes))
    graph.input.extend(model.graph.input)
    graph.output.extend(given for given in model.graph.output if given.name in outputs)
    graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in needed)
    made = {name for node in nodes for name in node.output}
    graph.value_info.extend(info for info in model.graph.value_info if info.name in made)
    return part


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    # The exporter warns of its own internals and logs its steps; none of it is for the user.
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def compare_with_torch(
    folder: Path, graphs: dict[str, nn.Module], images: npt.NDArray[np.uint8]
) -> dict[str, float]:
    """Run every exported file in ONNX Runtime and its torch module on the same images.

    Args:
        folder: holds the files that `export_graphs` wrote.
        graphs: what it returned.
        images: uint8 [N, H, W, 3] RGB from the product's own preprocessing, N >= 16 where there are as many.

    Returns:
        The largest differences: `<graph>_probability` (absolute), `<graph>_score` (relative), `<graph>_map`
        (relative to the photo's largest map value).

    Raises:
        ExportError: when probabilities differ by more than 1e-4, or scores or maps by more than 1e-3.
    """
    worst: dict[str, float] = {"photos": float(len(images))}
    for name, graph in graphs.items():
        session = open_session(folder / f"{name}.onnx", "cpu").session
        expected = _run_torch(graph, images)
        outputs = _OUTPUTS[name]
        found = [session.run(list(outputs), {"image": images[i : i + 1]}) for i in range(len(images))]
        for position, output in enumerate(outputs):
            a = np.concatenate([result[position] for result in found]).astype(np.float64)
            b = expected[position].astype(np.float64)
            error = np.abs(a - b).reshape(len(images), -1).max(axis=1)
            if output == "probabilities":
                worst[f"{name}_probability"] = float(error.max())
            else:
                # A plain background is the same in every photo: its distances are rounding errors, so that
                # a map is measured against its own peak.
                peak = np.abs(b).reshape(len(images), -1).max(axis=1)
                key = "score" if output == "anomaly_score" else "map"
                worst[f"{name}_{key}"] = float((error / np.maximum(peak, 1e-6)).max())
    _refuse_if_far(worst)
    return worst


@torch.inference_mode()
def _run_torch(graph: nn.Module, images: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float32]]:
    results = []
    for part in torch.split(torch.from_numpy(images), 8):
        given = graph(part)
        results.append([given] if isinstance(given, torch.Tensor) else list(given))
    return [torch.cat(column).numpy() for column in zip(*results, strict=True)]


def _refuse_if_far(worst: dict[str, float]) -> None:
    for key, error in worst.items():
        allowed = LARGEST_PROBABILITY_ERROR if key.endswith("_probability") else LARGEST_RELATIVE_SCORE_ERROR
        if key != "photos" and not error <= allowed:
            raise ExportError(
                f"The exported graph differs from torch's: {key} by {error:.2e} (allowed: {allowed:.0e}).",
                "No bundle was written. Report this with the versions that `pip list` prints.",
            )
