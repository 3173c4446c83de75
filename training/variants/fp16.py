"""The bundle's fp16 form, for GPUs: written when it agrees with fp32."""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnx

from models.bundle import Bundle
from models.errors import ExportError
from models.inspector import Inspector
from models.manifest import Variant
from models.scores import write_scores
from models.session import open_session
from models.variants import SCORE_TOLERANCE, Choice
from training.summary import Record
from training.variants.agreement import chosen_records, compare
from training.variants.half_graph import acted_out, half_graph

FILE = "inspector.fp16.onnx"

log = logging.getLogger(__name__)


def write_fp16(bundle: Bundle, records: Sequence[Record]) -> Variant | str:
    """Write `inspector.fp16.onnx` beside `inspector.onnx`, if it agrees with it; else say why not.

    What a GPU will compute is acted out on the CPU, rounding by rounding; the golden photos check on the GPU
    whether it does so.

    Args:
        bundle: the bundle in the making.
        records: held-out photos and what the fp32 graph says of them.

    Returns:
        What the manifest says of it, or why it was not written.

    Raises:
        Exception: whatever the checker and ONNX Runtime raise; the file may be there then.
    """
    chosen = chosen_records(records)
    if not chosen:
        return _left_out("there is no photo to compare it with fp32 on")
    try:
        compared = compare(acting_inspector(bundle), chosen)
        agreement = compared.agreement
        if agreement.flips or not agreement.score <= SCORE_TOLERANCE["fp16"]:
            return _left_out(
                f"scores differ from fp32 by up to {agreement.score:.4f} (allowed: "
                f"{SCORE_TOLERANCE['fp16']:g}), and {agreement.flips} of {agreement.photos} verdicts"
            )
        half = half_graph(_single(bundle))
    except ExportError as error:
        return _left_out(error.problem.rstrip("."))
    path = bundle.path / FILE
    onnx.save(half, path)
    onnx.checker.check_model(str(path), full_check=True)
    write_scores(bundle.path, "fp16", compared.scores)
    log.info("fp16 for GPUs: scores within %.4f of fp32 on %d photos.", agreement.score, agreement.photos)
    return Variant(file=FILE, precision="fp16", agreement=agreement)


def acting_inspector(bundle: Bundle) -> Inspector:
    """An inspector that gives on the CPU what the form gives on a GPU, rounding by rounding.

    Raises:
        ExportError: when there is no trunk in the graph, or a weight is too large for fp16.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        onnx.save(acted_out(_single(bundle)), path)
        return Inspector(bundle, open_session(path, "cpu"), Choice("fp16", FILE, "it is acted out"))


def _single(bundle: Bundle) -> onnx.ModelProto:
    return onnx.load(bundle.path / bundle.manifest.variants["fp32"].file)


def _left_out(reason: str) -> str:
    log.warning("No fp16 graph is written, GPUs run this bundle in fp32: %s.", reason)
    return reason
