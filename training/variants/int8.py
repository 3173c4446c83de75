"""The bundle's int8 form, for CPUs: written when it agrees with fp32."""

import logging
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx

from models.bundle import Bundle
from models.errors import ExportError
from models.inspector import Inspector
from models.manifest import Variant
from models.scores import write_scores
from models.session import open_session
from models.variants import Choice, describe, why_not
from training.summary import Record
from training.variants.agreement import compare
from training.variants.int8_graph import int8_graph

FILE = "inspector.int8.onnx"

log = logging.getLogger(__name__)


def write_int8(
    bundle: Bundle, records: Sequence[Record], photos: npt.NDArray[np.uint8], seed: int
) -> Variant | str:
    """Write `inspector.int8.onnx` beside `inspector.onnx`, if it agrees with it.

    Args:
        bundle: the bundle in the making.
        records: held-out photos and what the fp32 graph says of them.
        photos: training photos, uint8 [N, H, W, 3] RGB at the model's size, on which int8 is calibrated.
        seed: of the sample that is taken of them.

    Returns:
        What the manifest says of it, or why it was not written.

    Raises:
        Exception: whatever the quantiser, the checker and ONNX Runtime raise; the file may be there then.
    """
    path = bundle.path / FILE
    compared = [record for record in records if record.inspection.score is not None]
    try:
        model = int8_graph(onnx.load(bundle.path / bundle.manifest.variants["fp32"].file), photos, seed)
    except ExportError as error:
        return _left_out(error.problem)
    onnx.save(model, path)
    onnx.checker.check_model(str(path), full_check=True)
    found = compare(int8_inspector(bundle), compared)
    variant = Variant(file=FILE, precision="int8", agreement=found.agreement)
    if reason := why_not(variant):
        path.unlink()
        return _left_out(reason)
    write_scores(bundle.path, "int8", found.scores)
    log.info("An int8 graph for CPUs with VNNI or AMX: %s.", describe(variant))
    return variant


def int8_inspector(bundle: Bundle) -> Inspector:
    """An inspector with the form that was written: it gives what any CPU will."""
    choice = Choice("int8", FILE, "it is compared with fp32")
    return Inspector(bundle, open_session(bundle.path / FILE, "cpu"), choice)


def _left_out(reason: str) -> str:
    log.warning("No int8 graph is written, CPUs run fp32: %s.", reason.rstrip("."))
    return reason.rstrip(".")
