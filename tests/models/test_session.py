"""Which device is asked for, and the proof of which one runs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

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
