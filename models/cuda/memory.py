"""Where the photos and answers of a fixed batch lie, for as long as the model is loaded."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from models.cuda.driver import Driver


class Memory(Protocol):
    """Gives memory beside the device and on it; it never moves."""

    def host(self, shape: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Zeroed uint8 memory of the host, which the device copies from."""
        ...

    def device(self, shape: Sequence[int], dtype: npt.DTypeLike) -> Any:
        """An `OrtValue` on the device, not initialised."""
        ...


class GpuMemory:
    """Page-locked memory of the host, and memory of one GPU."""

    def __init__(self, driver: Driver, device_id: int) -> None:
        self._driver = driver
        self._device_id = device_id

    def host(self, shape: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Zeroed, page-locked."""
        return self._driver.page_locked(shape)

    def device(self, shape: Sequence[int], dtype: npt.DTypeLike) -> Any:
        """Memory of the GPU."""
        return ort.OrtValue.ortvalue_from_shape_and_type(list(shape), dtype, "cuda", self._device_id)


class CpuMemory:
    """Plain memory on both sides: the same path without a GPU."""

    def host(self, shape: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Zeroed."""
        return np.zeros(tuple(shape), dtype=np.uint8)

    def device(self, shape: Sequence[int], dtype: npt.DTypeLike) -> Any:
        """Plain memory as well."""
        return ort.OrtValue.ortvalue_from_shape_and_type(list(shape), dtype)
