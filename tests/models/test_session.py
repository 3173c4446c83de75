"""Which device is asked for, and the proof of which one runs."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from models.cuda.options import CudaSettings
from models.cuda.tensorrt import TENSORRT
from models.errors import BundleError, DeviceError
from models.session import CPU, CUDA, Device, open_session, plan_session, prove_provider

EMPTY_PHOTO = np.zeros((1, 64, 64, 3), np.uint8)


class ClaimingSession:
    """A session that says it runs on the given providers."""

    def __init__(self, providers: Sequence[str]) -> None:
        self._providers = list(providers)

    def get_providers(self) -> list[str]:
        return self._providers


def has_gpu(graph: Path) -> bool:
    return open_session(graph, "auto").provider == CUDA


@pytest.fixture(scope="module")
def graph(tiny_bundle: Path) -> Path:
    return tiny_bundle / "inspector.onnx"


def test_on_a_gpu_nothing_may_fall_back_to_the_cpu() -> None:
    plan = plan_session("cuda")
    assert [name for name, _ in plan.providers] == [CUDA]
    assert plan.config["session.disable_cpu_ep_fallback"] == "1"
    assert plan.options().get_session_config_entry("session.disable_cpu_ep_fallback") == "1"


def test_on_a_cpu_the_threads_do_not_spin_and_their_number_can_be_set() -> None:
    plan = plan_session("cpu", threads=3)
    assert [name for name, _ in plan.providers] == [CPU]
    options = plan.options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert options.intra_op_num_threads == 3
    assert plan_session("cpu").threads >= 1


def test_the_cpu_is_used_when_asked_for_and_is_no_fallback(graph: Path) -> None:
    opened = open_session(graph, "cpu", threads=1)
    assert (opened.provider, opened.fallback) == (CPU, "")
    assert opened.session.get_providers() == [CPU]
    assert opened.session.run(["anomaly_score"], {"image": EMPTY_PHOTO})[0].shape == (1,)


def test_cuda_runs_on_cuda_or_refuses(graph: Path) -> None:
    if has_gpu(graph):
        assert open_session(graph, "cuda").session.get_providers()[0] == CUDA
    else:
        with pytest.raises(DeviceError) as error:
            open_session(graph, "cuda")
        assert "--device cpu" in error.value.remedy


def test_auto_falls_back_and_says_why(
    graph: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    opened = open_session(graph, "auto", threads=1)
    assert opened.provider == opened.session.get_providers()[0]
    if opened.provider == CPU:
        assert opened.fallback
        assert opened.fallback in caplog.text
    # Standard output belongs to the commands, whose JSON must not be mixed with complaints.
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("providers", [[], [CPU], [CPU, CUDA], ["TensorrtExecutionProvider", CUDA]])
def test_a_session_that_runs_elsewhere_is_refused(providers: list[str]) -> None:
    with pytest.raises(DeviceError, match="CUDAExecutionProvider was asked for"):
        prove_provider(ClaimingSession(providers), CUDA)


def test_a_session_that_fell_back_silently_is_refused(graph: Path) -> None:
    if has_gpu(graph):
        pytest.skip("With a GPU, nothing falls back.")
    silent = ort.InferenceSession(str(graph), providers=[CUDA, CPU])
    assert CUDA in ort.get_available_providers()
    with pytest.raises(DeviceError, match=f"runs on {CPU}"):
        prove_provider(silent, CUDA)


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_onnx_runtime_may_not_swap_the_device_by_itself(graph: Path, device: Device) -> None:
    """Its Python layer would, when a run fails, and the answers would go on naming the first device."""
    assert open_session(graph, device).session._enable_fallback is False


class Driverless:
    """The functions of NVIDIA's driver, all of which succeed and do nothing."""

    def __getattr__(self, name: str) -> Callable[..., int]:
        return lambda *_: 0


@pytest.fixture
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A machine with a driver, on which ONNX Runtime opens a session on the CPU whatever it is asked for.

    What it is asked for is noted.
    """
    asked: list[dict[str, Any]] = []
    session = ort.InferenceSession

    def open_on_the_cpu(model: bytes, **given: Any) -> Any:
        asked.append(given)
        return session(model, providers=[CPU])

    monkeypatch.setattr(ort, "InferenceSession", open_on_the_cpu)
    monkeypatch.setattr(ort, "preload_dlls", lambda: None)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Driverless())
    return asked


def test_a_session_that_opens_elsewhere_is_refused(graph: Path, pretended_gpu: list[dict[str, Any]]) -> None:
    with pytest.raises(DeviceError, match=f"runs on {CPU}"):
        open_session(graph, "cuda", cuda=CudaSettings(memory_mb=1000), half=True)
    (asked,) = pretended_gpu
    ((provider, options),) = asked["providers"]
    assert provider == CUDA
    assert (options["gpu_mem_limit"], options["prefer_nhwc"]) == ("1048576000", "1")
    assert asked["enable_fallback"] == 0
    assert asked["sess_options"].get_session_config_entry("session.disable_cpu_ep_fallback") == "1"


def test_auto_takes_the_cpu_when_a_session_opens_elsewhere(
    graph: Path, pretended_gpu: list[dict[str, Any]]
) -> None:
    opened = open_session(graph, "auto", threads=1)
    assert opened.provider == CPU
    assert CPU in opened.fallback
    assert opened.runs is None


def test_an_onnx_runtime_without_cuda_is_told(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CPU])
    with pytest.raises(DeviceError, match="no CUDA provider"):
        open_session(graph, "cuda")


def test_tensorrt_without_engines_is_refused_before_anything_is_opened(
    graph: Path, tmp_path: Path, pretended_gpu: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DeviceError, match="no finished TensorRT engines") as error:
        open_session(graph, "cuda", cuda=CudaSettings(tensorrt=tmp_path))
    assert "glint warmup" in error.value.remedy
    assert pretended_gpu == []


def test_engines_are_built_only_when_that_is_asked_for(
    graph: Path, tmp_path: Path, pretended_gpu: list[dict[str, Any]]
) -> None:
    with pytest.raises(DeviceError, match=f"runs on {CPU}"):
        open_session(graph, "cuda", cuda=CudaSettings(tensorrt=tmp_path, build_engines=True))
    ((first, options), (second, _)) = pretended_gpu[0]["providers"]
    assert (first, second) == (TENSORRT, CUDA)
    assert Path(options["trt_engine_cache_path"]).parent == tmp_path
    assert list(tmp_path.iterdir()) == [], "nothing is left of a build that failed"


def test_a_session_on_cuda_passes() -> None:
    prove_provider(ClaimingSession([CUDA, CPU]), CUDA)


@pytest.mark.parametrize("content", [b"", b"not a graph"])
def test_a_file_that_is_no_graph_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "inspector.onnx"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"inspector\.onnx"):
        open_session(path, "cpu")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"missing\.onnx"):
        open_session(tmp_path / "missing.onnx", "cpu")


def test_onnx_runtime_keeps_and_sends_no_telemetry(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    load = "import models.session, time; time.sleep(0.5)"
    subprocess.run([sys.executable, "-c", load], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []
