"""What ONNX Runtime's words say of the device."""

import pytest

from models.errors import DeviceError
from service.device_faults import fault_of

RUN = "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv node. "


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(RUN + "Failed to allocate memory for requested buffer of size 205520896"),
        RuntimeError(RUN + "Available memory of 1048576 is smaller than requested bytes of 205520896"),
        RuntimeError(
            "[ONNXRuntimeError] : 1 : FAIL : CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc"
        ),
        RuntimeError("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; expr=cublasCreate(&handle)"),
        RuntimeError("CUDNN failure 2: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("std::bad_alloc"),
        MemoryError(),
    ],
)
def test_running_out_of_memory_can_be_mended_by_smaller_batches(error: Exception) -> None:
    assert fault_of(error) == "out_of_memory"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA failure 700: an illegal memory access was encountered ; GPU=0"),
        RuntimeError("CUDA failure 719: unspecified launch failure ; GPU=0 ; expr=cudaStreamSynchronize"),
        RuntimeError("CUDA failure 100: no CUDA-capable device is detected"),
        RuntimeError("CUDA error cudaErrorIllegalAddress:an illegal memory access was encountered"),
        RuntimeError("CUDNN failure 5000: CUDNN_STATUS_EXECUTION_FAILED ; GPU=0"),
        RuntimeError("CUBLAS failure 14: CUBLAS_STATUS_INTERNAL_ERROR"),
        DeviceError("CUDAExecutionProvider was asked for, but the session runs on the CPU.", "Mend it."),
    ],
)
def test_other_errors_of_cuda_stay_with_the_process(error: Exception) -> None:
    assert fault_of(error) == "device_lost"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(RUN + "indices element out of data bounds, idx=1000 must be within [-1,0]"),
        ValueError("the model gave 1 answers to 2 photos"),
        RuntimeError(""),
    ],
)
def test_anything_else_is_the_photos_fault_until_a_black_one_fails_too(error: Exception) -> None:
    assert fault_of(error) == "other"
