"""What is asked of ONNX Runtime on a GPU: every choice, in one place."""

from dataclasses import dataclass
from pathlib import Path

from models.cuda.tensorrt import TENSORRT, EngineCache

CUDA = "CUDAExecutionProvider"

Providers = tuple[tuple[str, dict[str, str]], ...]


@dataclass(frozen=True)
class CudaSettings:
    """How a GPU is used.

    Attributes:
        device_id: which GPU, as CUDA counts them.
        memory_mb: what the arena of one model may take, in MiB; None for no limit. cuDNN, CUDA itself and
            captured graphs take some more.
        graphs: capture the run of each batch size once and replay it, which saves the launch of each kernel.
        tensorrt: the folder of finished TensorRT engines, if TensorRT is to run them; None for CUDA alone.
        build_engines: build the engines that are missing in that folder, which takes minutes.
    """

    device_id: int = 0
    memory_mb: int | None = None
    graphs: bool = True
    tensorrt: Path | None = None
    build_engines: bool = False


# Nothing may run on the CPU: ONNX Runtime would allow it silently, while its list of providers names the GPU.
NO_FALLBACK = {"session.disable_cpu_ep_fallback": "1"}


def cuda_providers(settings: CudaSettings, *, half: bool, engines: EngineCache | None = None) -> Providers:
    """The execution providers with their options, the first choice first.

    Args:
        settings: how the GPU is used.
        half: whether the graph's trunk is fp16; TensorRT reads that from the graph.
        engines: what TensorRT runs; None for CUDA alone.
    """
    cuda = (CUDA, _cuda_options(settings, half=half))
    if engines is None:
        return (cuda,)
    return ((TENSORRT, engines.options(settings.device_id)), cuda)


def captures(settings: CudaSettings) -> bool:
    """Whether runs are captured; TensorRT launches a whole engine at once, so there is nothing to save."""
    return settings.graphs and settings.tensorrt is None


def _cuda_options(settings: CudaSettings, *, half: bool) -> dict[str, str]:
    options = {
        "device_id": str(settings.device_id),
        # Each convolution is tried with every algorithm when a batch size runs for the first time.
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "cudnn_conv_use_max_workspace": "1",
        # Models share the GPU: none takes more than it needs.
        "arena_extend_strategy": "kSameAsRequested",
        # TF32 keeps 10 bits of mantissa: answers would differ from the CPU's beyond the promised 1e-4.
        "use_tf32": "0",
        # Tensor cores read fp16 with the channels last; otherwise cuDNN would turn each layer round and back.
        "prefer_nhwc": "1" if half else "0",
        "enable_cuda_graph": "1" if captures(settings) else "0",
    }
    if settings.memory_mb is not None:
        options["gpu_mem_limit"] = str(settings.memory_mb * 1024 * 1024)
    return options
