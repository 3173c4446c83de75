"""TensorRT's engines: built ahead by `glint warmup`, for one model on one GPU, and never while serving."""

import ctypes
import hashlib
import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any

from models.errors import DeviceError
from models.files import sync_folder, write_whole

TENSORRT = "TensorrtExecutionProvider"
RECORD = "engines.json"

# ONNX Runtime has no option for TF32 in TensorRT (microsoft/onnxruntime#26029), and TensorRT takes it unless
# this variable of NVIDIA's libraries forbids it.
_TF32 = "NVIDIA_TF32_OVERRIDE"
# Only where no precision is switched on does ONNX Runtime build a strongly typed network, whose layers are
# what the graph says they are (microsoft/onnxruntime#18707). With fp16 switched on, TensorRT would choose it
# behind the graph's casts as well: for whitening, distances and smoothing, which fp16 is too coarse for.
_TYPING = {"trt_fp16_enable": "0"}

# What onnxruntime-gpu is linked against; TensorRT's Python package keeps them in `tensorrt_libs`.
_RUNTIME, _PARSER = "libnvinfer.so.10", "libnvonnxparser.so.10"
_INSTALL = (
    "Install TensorRT 10 (`pip install 'tensorrt-cu13>=10,<11'`, or NVIDIA's packages), "
    "or leave GLINT_TENSORRT unset."
)
_BUILD = (
    "Run `glint warmup --device cuda --tensorrt` on this machine, with the same --bundles, and start again."
)


def load_tensorrt() -> str:
    """Load TensorRT's libraries and return their version, for example `101300`.

    From then on no library of NVIDIA computes in TF32 in this process: it keeps 10 bits of mantissa, and
    answers would differ from the CPU's beyond what is promised.

    Raises:
        DeviceError: when TensorRT is not installed.
    """
    # Before the first of them is loaded, since they go on with what they read then.
    os.environ[_TF32] = "0"
    library = _load(_RUNTIME)
    _load(_PARSER)
    return str(library.getInferLibVersion())


def _load(name: str) -> Any:
    package = importlib.util.find_spec("tensorrt_libs")
    folders = list(package.submodule_search_locations or []) if package else []
    for path in [*(os.path.join(folder, name) for folder in folders), name]:
        try:
            return ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
    raise DeviceError(f"TensorRT is not installed on this machine: there is no {name}.", _INSTALL)


class EngineCache:
    """The engines of one graph on one kind of GPU: a folder, finished when its record lies in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, root: Path, graph: bytes, *, gpu: str, tensorrt: str, onnxruntime: str) -> "EngineCache":
        """The cache under `root` for this graph, GPU and these versions; any other has another folder.

        Engines hold the precision that they were built with, so that belongs to its name as well.
        """
        model = hashlib.sha256(graph).hexdigest()
        built = [gpu, tensorrt, onnxruntime, {**_TYPING, _TF32: "0"}]
        place = hashlib.sha256(json.dumps(built).encode()).hexdigest()
        return cls(root / f"{model[:32]}-{place[:16]}")

    @property
    def finished(self) -> bool:
        """Whether the engines have been built."""
        return (self.folder / RECORD).is_file()

    def check(self) -> None:
        """Refuse engines that are not there, were altered, or are not those that were built ahead.

        Raises:
            DeviceError: saying how to build them.
        """
        if not self.finished:
            raise DeviceError(f"There are no finished TensorRT engines in {self.folder}.", _BUILD)
        try:
            recorded = json.loads((self.folder / RECORD).read_bytes())["files"]
            found = self._checksums(self.folder)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DeviceError(
                f"The TensorRT engines in {self.folder} cannot be read: {error}.",
                f"Remove that folder. {_BUILD}",
            ) from error
        if found != recorded:
            raise DeviceError(
                f"The TensorRT engines in {self.folder} are not those that `glint warmup` built.",
                f"Remove that folder. {_BUILD}",
            )

    def begin(self) -> None:
        """Make an empty folder to build in; what a build that was cut off has left is removed.

        Raises:
            DeviceError: when it cannot be made.
        """
        try:
            if self._partial.exists():
                shutil.rmtree(self._partial)
            self._partial.mkdir(parents=True)
        except OSError as error:
            raise DeviceError(
                f"TensorRT engines cannot be built in {self._partial}: {error.strerror}.",
                "Name a folder that can be written to with GLINT_TENSORRT_CACHE.",
            ) from error

    def finish(self) -> None:
        """Record the engines that were built and give the folder its name.

        Raises:
            DeviceError: when none was built.
        """
        files = self._checksums(self._partial)
        if not any(name.endswith(".engine") for name in files):
            raise DeviceError(
                "TensorRT built no engine: it can run nothing of this model.", "Leave GLINT_TENSORRT unset."
            )
        write_whole(self._partial / RECORD, json.dumps({"files": files}, indent=1).encode())
        self._partial.rename(self.folder)
        sync_folder(self.folder.parent)

    def discard(self) -> None:
        """Remove what was built so far; finished engines stay."""
        shutil.rmtree(self._partial, ignore_errors=True)

    def options(self, device_id: int) -> dict[str, str]:
        """What is asked of TensorRT; its profile of batch sizes is learnt while the engines are built."""
        return {
            "device_id": str(device_id),
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(self.folder if self.finished else self._partial),
            **_TYPING,
        }

    @property
    def _partial(self) -> Path:
        return self.folder.with_name(f".partial-{self.folder.name}")

    @staticmethod
    def _checksums(folder: Path) -> dict[str, str]:
        files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != RECORD)
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
