"""NVIDIA's driver is asked the right questions; its library is played by a few functions."""

import ctypes
import gc
from typing import Any

import numpy as np
import pytest

from models.cuda.driver import Driver
from models.errors import DeviceError

OUT_OF_MEMORY = 2


class Library:
    """The functions of the driver that Glint calls, on plain memory."""

    def __init__(self, **statuses: int) -> None:
        self.statuses = statuses
        self.allocated: dict[int, Any] = {}
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            self.calls.append(name)
            if status := self.statuses.get(name, 0):
                return status
            return int(getattr(type(self), f"do_{name}", lambda *_: 0)(self, *arguments) or 0)

        return call

    def do_cuDeviceGetName(self, name: Any, length: int, device: Any) -> None:  # noqa: N802
        name.value = b"NVIDIA H200"

    def do_cuDriverGetVersion(self, version: Any) -> None:  # noqa: N802
        version._obj.value = 13000

    def do_cuMemHostAlloc(self, pointer: Any, size: Any, flags: int) -> None:  # noqa: N802
        memory = ctypes.create_string_buffer(b"\xff" * size.value, size.value)
        pointer._obj.value = ctypes.addressof(memory)
        self.allocated[pointer._obj.value] = memory

    def do_cuMemFreeHost(self, pointer: Any) -> None:  # noqa: N802
        del self.allocated[pointer.value]

    def do_cuGetErrorString(self, status: int, text: Any) -> None:  # noqa: N802
        text._obj.value = b"out of memory"


def test_the_gpu_and_the_driver_are_named() -> None:
    driver = Driver(Library())
    assert driver.gpu_name == "NVIDIA H200"
    assert driver.version == 13000


def test_page_locked_memory_is_zeroed_and_lives_as_long_as_its_arrays() -> None:
    library = Library()
    memory = Driver(library).page_locked((2, 3, 4))
    assert memory.shape == (2, 3, 4)
    assert memory.dtype == np.uint8
    assert not memory.any()
    memory[1] = 7
    rest = memory[1:]
    del memory
    gc.collect()
    assert library.allocated, "an array on it is still there"
    assert rest.sum() == 84
    del rest
    gc.collect()
    assert not library.allocated
    assert library.calls[-2:] == ["cuCtxSetCurrent", "cuMemFreeHost"]


@pytest.mark.parametrize("function", ["cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain"])
def test_a_driver_that_does_not_work_is_named_with_its_error(function: str) -> None:
    with pytest.raises(
        DeviceError, match=f"GPU 3 cannot be used: {function} .* error 2 .out of memory."
    ) as error:
        Driver(Library(**{function: OUT_OF_MEMORY}), device_id=3)
    assert "--device cpu" in error.value.remedy


def test_too_little_page_locked_memory_is_an_error() -> None:
    with pytest.raises(DeviceError, match="cuMemHostAlloc"):
        Driver(Library(cuMemHostAlloc=OUT_OF_MEMORY)).page_locked((1,))


def test_an_error_without_a_text_is_told_by_its_number() -> None:
    with pytest.raises(DeviceError, match=r"error 35\."):
        Driver(Library(cuInit=35, cuGetErrorString=1))
