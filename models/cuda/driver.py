"""NVIDIA's driver, asked for what ONNX Runtime does not offer: page-locked memory and the GPU's name."""

import ctypes
import sys
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import DeviceError

REMEDY = (
    "Install the GPU driver and the CUDA and cuDNN libraries (`pip install 'glint-inspection[cuda]'`), "
    "or use --device cpu."
)

_PORTABLE = 1  # CU_MEMHOSTALLOC_PORTABLE: page-locked for every context
_NAME_BYTES = 128


def driver_library() -> Any:
    """The driver's library, which comes with the driver itself.

    Raises:
        DeviceError: when no driver is installed.
    """
    try:
        return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError as error:
        raise DeviceError("No NVIDIA driver is installed on this machine.", REMEDY) from error


class Driver:
    """One GPU, as the driver's own interface shows it (CUDA Driver API, NVIDIA)."""

    def __init__(self, library: Any, device_id: int = 0) -> None:
        """
        Args:
            library: what `driver_library` gives.
            device_id: which GPU, as CUDA counts them.

        Raises:
            DeviceError: when the driver does not work, or has no such GPU.
        """
        self._library = library
        self._device_id = device_id
        self._device = ctypes.c_int()
        self._context = ctypes.c_void_p()
        self._call("cuInit", 0)
        self._call("cuDeviceGet", ctypes.byref(self._device), device_id)
        # The context that ONNX Runtime works in as well; it lives as long as the process.
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), self._device)

    @property
    def gpu_name(self) -> str:
        """For example `NVIDIA H200`."""
        name = ctypes.create_string_buffer(_NAME_BYTES)
        self._call("cuDeviceGetName", name, _NAME_BYTES, self._device)
        return name.value.decode("utf-8", "replace")

    @property
    def version(self) -> int:
        """The newest CUDA that the driver can run, for example 13000."""
        version = ctypes.c_int()
        self._call("cuDriverGetVersion", ctypes.byref(version))
        return version.value

    def page_locked(self, shape: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Zeroed memory, uint8, that the GPU copies from without a detour; freed with the last array on it.

        Raises:
            DeviceError: when the machine has not enough of it.
        """
        size = int(np.prod(shape))
        pointer = ctypes.c_void_p()
        self._make_current()
        self._call("cuMemHostAlloc", ctypes.byref(pointer), ctypes.c_size_t(size), _PORTABLE)
        address = pointer.value
        if not address:
            raise DeviceError(f"GPU {self._device_id} cannot be used: its driver gave no memory.", REMEDY)
        memory = (ctypes.c_uint8 * size).from_address(address)
        weakref.finalize(memory, self._free, address).atexit = False
        array: npt.NDArray[np.uint8] = np.ctypeslib.as_array(memory).reshape(shape)
        array[:] = 0
        return array

    def _free(self, address: int) -> None:
        # From whichever thread drops the last reference.
        self._make_current()
        self._call("cuMemFreeHost", ctypes.c_void_p(address))

    def _make_current(self) -> None:
        self._call("cuCtxSetCurrent", self._context)

    def _call(self, function: str, *arguments: Any) -> None:
        status = getattr(self._library, function)(*arguments)
        if status != 0:
            raise DeviceError(
                f"GPU {self._device_id} cannot be used: {function} of NVIDIA's driver gave error {status}"
                f"{self._meaning(status)}.",
                REMEDY,
            )

    def _meaning(self, status: int) -> str:
        text = ctypes.c_char_p()
        if self._library.cuGetErrorString(status, ctypes.byref(text)) != 0 or not text.value:
            return ""
        return f" ({text.value.decode('utf-8', 'replace')})"
