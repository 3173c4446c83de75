"""Opening that one of a bundle's graphs which suits the device."""

import logging
from collections.abc import Sequence

from models.bundle import Bundle
from models.cpu import read_cpu_features
from models.cuda.options import CudaSettings
from models.errors import DeviceError
from models.precision import WantedPrecision
from models.session import CPU, Device, OneDevice, OpenSession, open_on_best, open_session
from models.variants import Choice, choose_variant

log = logging.getLogger(__name__)


def open_graph(
    bundle: Bundle,
    device: Device,
    threads: int | None = None,
    *,
    cuda: CudaSettings | None = None,
    precision: WantedPrecision = "auto",
    outputs: Sequence[str] = (),
) -> tuple[OpenSession, Choice]:
    """Choose a graph for the device that really runs, and open it there.

    Args:
        bundle: whose graph it is.
        device: where it is to run.
        threads: of the CPU; None for one a core.
        cuda: how a GPU is used.
        precision: which graph; `auto` takes the fastest that agrees with fp32.
        outputs: those that are wanted of each run on a GPU; all of them if empty.

    Raises:
        BundleError: when the file is no ONNX graph that can be run.
        DeviceError: when `cuda` is asked for and does not run.
        PrecisionError: when the bundle has no such graph, or the device cannot run it.
    """
    cpu = read_cpu_features()

    def choose(one: OneDevice) -> Choice:
        return choose_variant(bundle.manifest, one, cpu, precision)

    def open_on(one: OneDevice) -> OpenSession:
        if one == "cuda" and device == "auto" and precision == "int8":
            raise DeviceError("int8 was asked for, which runs on CPUs only.", "Use --device cpu.")
        choice = choose(one)
        half = choice.precision == "fp16"
        return open_session(bundle.file(choice.file), one, threads, cuda=cuda, half=half, outputs=outputs)

    opened = open_on_best(open_on, device)
    choice = choose("cpu" if opened.provider == CPU else "cuda")
    log.info("%s runs in %s: %s.", bundle.manifest.part, choice.precision, choice.reason)
    return opened, choice
