"""What a failed run says of the device: out of memory, lost, or nothing."""

import re
from typing import Literal

from models.errors import DeviceError

Fault = Literal["out_of_memory", "device_lost", "other"]

# ONNX Runtime passes on what CUDA, cuDNN and cuBLAS say, in one exception class for all
# (onnxruntime/core/providers/cuda/cuda_call.cc, core/framework/bfc_arena.cc).
_OUT_OF_MEMORY = re.compile(
    r"out of memory|failed to allocate memory|smaller than requested bytes|ALLOC_FAILED|MemoryAllocation"
    r"|bad_alloc",
    re.IGNORECASE,
)
_DEVICE_LOST = re.compile(
    r"CUDA (?:failure|error) (?!2\b)\d+"
    r"|cudaError(?!MemoryAllocation)[A-Z]\w+"
    r"|CU(?:BLAS|DNN)_STATUS_(?:EXECUTION_FAILED|INTERNAL_ERROR|MAPPING_ERROR)"
    r"|an illegal memory access|unspecified launch failure|fallen off the bus"
    r"|no CUDA-capable device|device-side assert"
)


def fault_of(error: BaseException) -> Fault:
    """Tell what kind of fault an exception of a run speaks of.

    Most CUDA errors stay with the process: every later call fails as well, until it is started anew.
    Running out of memory does not.
    """
    if isinstance(error, DeviceError):
        return "device_lost"
    text = str(error)
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(text):
        return "out_of_memory"
    return "device_lost" if _DEVICE_LOST.search(text) else "other"
