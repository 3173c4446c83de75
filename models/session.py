"""ONNX Runtime sessions: which device is asked for, and proof of which one runs."""

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import onnxruntime as ort

from models.cores import usable_cores
from models.cuda.driver import REMEDY as _CUDA_REMEDY
from models.cuda.driver import Driver, driver_library
from models.cuda.memory import GpuMemory
from models.cuda.options import CUDA as CUDA
from models.cuda.options import NO_FALLBACK, CudaSettings, captures, cuda_providers
from models.cuda.runs import FixedRuns
from models.cuda.tensorrt import TENSORRT, EngineCache, load_tensorrt
from models.errors import BundleError, DeviceError

OneDevice = Literal["cpu", "cuda"]
Device = Literal["auto", "cpu", "cuda"]
CPU = "CPUExecutionProvider"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SessionPlan:
    """What is asked of ONNX Runtime: providers with their options, session settings, threads."""

    providers: tuple[tuple[str, dict[str, str]], ...]
    config: dict[str, str] = field(default_factory=dict)
    threads: int = 0

    def options(self) -> ort.SessionOptions:
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # It raises its errors as well; its own lines have another form than the rest of the log.
        options.log_severity_level = 4
        for key, value in self.config.items():
            options.add_session_config_entry(key, value)
        return options


def plan_session(
    device: Literal["cpu", "cuda"],
    threads: int | None = None,
    *,
    cuda: CudaSettings | None = None,
    half: bool = False,
    engines: EngineCache | None = None,
) -> SessionPlan:
    """Choose providers and settings for one device.

    Args:
        device: where all of the graph is to run.
        threads: of the CPU; None for one a core.
        cuda: how the GPU is used.
        half: whether the graph's trunk is fp16.
        engines: what TensorRT runs, if it is to.
    """
    if device == "cuda":
        providers = cuda_providers(cuda or CudaSettings(), half=half, engines=engines)
        return SessionPlan(providers=providers, config=dict(NO_FALLBACK), threads=1)
    return SessionPlan(
        providers=((CPU, {}),),
        config={
            # Spinning threads would take the cores from decoding and from the other bundles.
            "session.intra_op.allow_spinning": "0",
            # Without VNNI, sums of 8-bit products would be cut off at 16 bits, and int8 would give other
            # answers than on the CPU that it was measured on.
            "session.x64quantprecision": "1",
        },
        threads=threads or usable_cores(),
    )


@dataclass(frozen=True)
class OpenSession:
    """A session and the truth about it.

    Attributes:
        session: ready to run.
        provider: the execution provider that really runs, from the session itself.
        fallback: why `auto` did not take the GPU; empty otherwise.
        runs: on a GPU, the batch sizes that have memory of their own; None on the CPU.
        engines: what TensorRT runs; None without it.
    """

    session: Any
    provider: str
    fallback: str = ""
    runs: FixedRuns | None = None
    engines: EngineCache | None = None


def open_session(
    model: Path,
    device: Device = "auto",
    threads: int | None = None,
    *,
    cuda: CudaSettings | None = None,
    half: bool = False,
    outputs: Sequence[str] = (),
) -> OpenSession:
    """Open an ONNX file on a device and prove that it runs there.

    Args:
        model: the ONNX file.
        device: where it is to run.
        threads: of the CPU; None for one a core.
        cuda: how the GPU is used.
        half: whether the graph's trunk is fp16.
        outputs: those that are wanted of each run on a GPU; all of them if empty.

    Raises:
        DeviceError: when `cuda` is asked for and the session does not run on CUDA.
        BundleError: when the file is no ONNX graph that can be run.
    """

    def open_on(one: OneDevice) -> OpenSession:
        if one == "cpu":
            return OpenSession(_create(model, plan_session("cpu", threads)), CPU)
        return _open_on_cuda(model, cuda or CudaSettings(), half, outputs)

    return open_on_best(open_on, device)


def open_on_best(open_on: Callable[[OneDevice], OpenSession], device: Device) -> OpenSession:
    """Open with `open_on` on the device asked for; `auto` takes the GPU, and where it does not work the CPU.

    Raises:
        DeviceError: when `cuda` is asked for and does not run.
    """
    if device != "auto":
        return open_on(device)
    try:
        return open_on("cuda")
    except DeviceError as error:
        log.warning("No GPU is used: %s Falling back to the CPU.", error.problem)
        return replace(open_on("cpu"), fallback=error.problem)


def prove_provider(session: Any, wanted: str) -> None:
    """Check what the session itself says it runs on; nothing else can be trusted.

    Raises:
        DeviceError: when its first provider is not the wanted one.
    """
    providers = session.get_providers()
    if not providers or providers[0] != wanted:
        raise DeviceError(
            f"{wanted} was asked for, but the session runs on {', '.join(providers) or 'nothing'}.",
            _CUDA_REMEDY,
        )


def _open_on_cuda(model: Path, cuda: CudaSettings, half: bool, outputs: Sequence[str]) -> OpenSession:
    if CUDA not in ort.get_available_providers():
        raise DeviceError("The installed ONNX Runtime has no CUDA provider.", _CUDA_REMEDY)
    # Without the driver ONNX Runtime only prints errors of its loader and goes on without a GPU.
    library = driver_library()
    # It prints what it misses, which would mix with a command's JSON.
    with contextlib.redirect_stdout(sys.stderr):
        ort.preload_dlls()
    driver = Driver(library, cuda.device_id)
    engines = _engines_for(model, cuda, driver)
    provider = TENSORRT if engines else CUDA
    try:
        session = _create(model, plan_session("cuda", cuda=cuda, half=half, engines=engines))
        prove_provider(session, provider)
    except BundleError as error:
        _discard(engines)
        raise DeviceError(f"The CUDA session could not be opened: {error.problem}", _CUDA_REMEDY) from error
    except DeviceError:
        _discard(engines)
        raise
    names = list(outputs) or [node.name for node in session.get_outputs()]
    runs = FixedRuns(session, names, GpuMemory(driver, cuda.device_id), capture=captures(cuda))
    return OpenSession(session, provider, runs=runs, engines=engines)


def _discard(engines: EngineCache | None) -> None:
    if engines:
        engines.discard()


def _engines_for(model: Path, cuda: CudaSettings, driver: Driver) -> EngineCache | None:
    if cuda.tensorrt is None:
        return None
    engines = EngineCache.of(
        cuda.tensorrt,
        model.read_bytes(),
        gpu=driver.gpu_name,
        tensorrt=load_tensorrt(),
        onnxruntime=ort.__version__,
    )
    if cuda.build_engines and not engines.finished:
        engines.begin()
    else:
        engines.check()
    return engines


def _create(model: Path, plan: SessionPlan) -> Any:
    options = plan.options()
    # A graph may keep weights in other files, which no checksum vouches for. Given as bytes, with a folder
    # that holds nothing, it has no other files.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    try:
        # Its own fallback would print to stdout, hide the cause, and swap the device between two photos.
        return ort.InferenceSession(
            model.read_bytes(),
            sess_options=options,
            providers=[(name, dict(o)) for name, o in plan.providers],
            enable_fallback=0,
        )
    except Exception as error:
        # ONNX Runtime raises its own exceptions, which share no base class but Exception.
        raise BundleError(
            f"{model} cannot be run by ONNX Runtime: {str(error).splitlines()[0].rstrip('.')}.",
            "Check the bundle with `glint verify`, or train it again.",
        ) from error
