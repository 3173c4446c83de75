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
from models.session import open_session
from training.summary import Record
from training.variants.agreement import agreement_of, chosen_records
from training.variants.half_graph import acted_out, half_graph

FILE = "inspector.fp16.onnx"
LARGEST_SCORE_DIFFERENCE = 0.005

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
    """
    chosen = chosen_records(records)
    if not chosen:
        return _left_out("there is no photo to compare it with fp32 on")
    model = onnx.load(bundle.path / bundle.manifest.variants["fp32"].file)
    try:
        agreement = agreement_of(_acting_inspector(bundle, model), chosen)
        if agreement.flips or not agreement.score <= LARGEST_SCORE_DIFFERENCE:
            return _left_out(
                f"scores differ from fp32 by up to {agreement.score:.4f} (allowed: "
                f"{LARGEST_SCORE_DIFFERENCE:g}), and {agreement.flips} of {agreement.photos} verdicts"
            )
        half = half_graph(model)
    except ExportError as error:
        return _left_out(error.problem.rstrip("."))
    path = bundle.path / FILE
    onnx.save(half, path)
    onnx.checker.check_model(str(path), full_check=True)
    log.info("fp16 for GPUs: scores within %.4f of fp32 on %d photos.", agreement.score, agreement.photos)
    return Variant(file=FILE, precision="fp16", agreement=agreement)


def _left_out(reason: str) -> str:
    log.warning("No fp16 graph is written, GPUs run this bundle in fp32: %s.", reason)
    return reason


def _acting_inspector(bundle: Bundle, model: onnx.ModelProto) -> Inspector:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        onnx.save(acted_out(model), path)
        return Inspector(bundle, open_session(path, "cpu"))
