"""What is asked of ONNX Runtime on a GPU."""

from pathlib import Path

import pytest

from models.cuda.options import CUDA, CudaSettings, captures, cuda_providers
from models.cuda.tensorrt import TENSORRT, EngineCache
from models.session import plan_session


def cuda_options(settings: CudaSettings, *, half: bool = False) -> dict[str, str]:
    ((name, options),) = cuda_providers(settings, half=half)
    assert name == CUDA
    return options


def test_algorithms_are_searched_and_graphs_captured_and_no_precision_is_lost() -> None:
    options = cuda_options(CudaSettings())
    assert options["cudnn_conv_algo_search"] == "EXHAUSTIVE"
    assert options["cudnn_conv_use_max_workspace"] == "1"
    assert options["enable_cuda_graph"] == "1"
    assert options["use_tf32"] == "0"
    assert options["arena_extend_strategy"] == "kSameAsRequested"
    assert "gpu_mem_limit" not in options


def test_fp16_is_read_with_the_channels_last_and_fp32_is_not() -> None:
    assert cuda_options(CudaSettings(), half=True)["prefer_nhwc"] == "1"
    assert cuda_options(CudaSettings(), half=False)["prefer_nhwc"] == "0"


def test_settings_are_passed_on() -> None:
    options = cuda_options(CudaSettings(device_id=2, memory_mb=3000, graphs=False))
    assert options["device_id"] == "2"
    assert options["gpu_mem_limit"] == "3145728000"
    assert options["enable_cuda_graph"] == "0"


@pytest.mark.parametrize("half", [True, False])
def test_tensorrt_comes_before_cuda_obeys_the_graphs_casts_and_is_not_captured(
    tmp_path: Path, half: bool
) -> None:
    settings = CudaSettings(device_id=1, tensorrt=tmp_path)
    assert not captures(settings)
    engines = EngineCache(tmp_path / "engines")
    (first, tensorrt), (second, cuda) = cuda_providers(settings, half=half, engines=engines)
    assert (first, second) == (TENSORRT, CUDA)
    assert tensorrt["device_id"] == cuda["device_id"] == "1"
    assert tensorrt["trt_engine_cache_enable"] == "1"
    assert tensorrt["trt_fp16_enable"] == "0", "else it would choose fp16 for whitening and distances too"
    assert cuda["enable_cuda_graph"] == "0"


def test_no_plan_for_a_gpu_lets_anything_run_on_the_cpu(tmp_path: Path) -> None:
    for engines in (None, EngineCache(tmp_path)):
        plan = plan_session("cuda", cuda=CudaSettings(), engines=engines)
        assert plan.config["session.disable_cpu_ep_fallback"] == "1"
        assert "CPUExecutionProvider" not in dict(plan.providers)
