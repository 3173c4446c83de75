"""ONNX Runtime sessions: which device is asked for, and proof of which one runs."""

import contextlib
import ctypes
import logging
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import onnxruntime as ort

from models.cores import usable_cores
from models.errors import BundleError, DeviceError

Device = Literal["auto", "cpu", "cuda"]
CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

_CUDA_REMEDY = (
    "Install the GPU driver and the CUDA and cuDNN libraries (`pip install 'glint-inspection[cuda]'`), "
    "or use --device cpu."
)

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


def plan_session(device: Literal["cpu", "cuda"], threads: int | None = None) -> SessionPlan:
    """Choose providers and settings for one device.

    On CUDA no operator may fall back to the CPU: ONNX Runtime would do so silently, and
    `get_available_providers()` would still name the GPU.
    """
    if device == "cuda":
        cuda_options = {
            "cudnn_conv_algo_search": "EXHAUSTIVE",
            "arena_extend_strategy": "kSameAsRequested",
            # TF32 keeps 10 bits of mantissa: answers would differ from the CPU's beyond the promised 1e-4.
            "use_tf32": "0",
        }
        return SessionPlan(
            providers=((CUDA, cuda_options),), config={"session.disable_cpu_ep_fallback": "1"}, threads=1
        )
    # Spinning threads would take the cores from decoding and from the other bundles.
    return SessionPlan(
        providers=((CPU, {}),),
        config={"session.intra_op.allow_spinning": "0"},
        threads=threads or usable_cores(),
    )


@dataclass(frozen=True)
class OpenSession:
    """A session and the truth about it.

    Attributes:
        session: ready to run.
        provider: the execution provider that really runs, from the session itself.
        fallback: why `auto` did not take the GPU; empty otherwise.
    """

    session: Any
    provider: str
    fallback: str = ""


def open_session(model: Path, device: Device = "auto", threads: int | None = None) -> OpenSession:
    """Open an ONNX file on a device and prove that it runs there.

    Raises:
        DeviceError: when `cuda` is asked for and the session does not run on CUDA.
        BundleError: when the file is no ONNX graph that can be run.
    """
    if device == "cpu":
        return OpenSession(_create(model, plan_session("cpu", threads)), CPU)
    try:
        session = _create_on_cuda(model)
    except DeviceError as error:
        if device == "cuda":
            raise
        log.warning("No GPU is used: %s Falling back to the CPU.", error.problem)
        return OpenSession(_create(model, plan_session("cpu", threads)), CPU, fallback=error.problem)
    return OpenSession(session, CUDA)


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


def _create_on_cuda(model: Path) -> Any:
    if CUDA not in ort.get_available_providers():
        raise DeviceError("The installed ONNX Runtime has no CUDA provider.", _CUDA_REMEDY)
    if not _driver_installed():
        raise DeviceError("No NVIDIA driver is installed on this machine.", _CUDA_REMEDY)
    # It prints what it misses, which would mix with a command's JSON.
    with contextlib.redirect_stdout(sys.stderr):
        ort.preload_dlls()
    try:
        session = _create(model, plan_session("cuda"))
    except BundleError as error:
        raise DeviceError(f"The CUDA session could not be opened: {error.problem}", _CUDA_REMEDY) from error
    prove_provider(session, CUDA)
    return session


def _driver_installed() -> bool:
    # Without the driver ONNX Runtime only prints errors of its loader and goes on without a GPU.
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


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
