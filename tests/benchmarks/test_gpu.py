"""The benchmark of a GPU: its counts are right, it goes through on the CPU, and says that it was no GPU."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.inspector import Inspector
from models.session import CPU
from tests.benchmarks import gpu
from tests.benchmarks.gpu_tables import BUCKETS, Agreement, agrees, goal
from tests.benchmarks.graph_cost import Cost, Peak, costs, floor_seconds, peak_of
from tests.benchmarks.report import DOCS
from tests.tiny_bundle import clean_photo, encode, scratched_photo


@pytest.fixture
def small_graph(tmp_path: Path) -> Path:
    """A fp16 convolution 3x3 from 3 to 4 channels, cast to fp32, and a read-out to 5 classes."""
    values = {
        "weight": np.ones((4, 3, 3, 3), np.float16),
        "out": np.ones((5, 4), np.float32),
        "hw": np.int64([2, 3]),
    }
    nodes = [
        helper.make_node("Conv", ["image", "weight"], ["features"], pads=[1, 1, 1, 1]),
        helper.make_node("Cast", ["features"], ["single"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["single", "hw"], ["pooled"], keepdims=0),
        helper.make_node("Gemm", ["pooled", "out"], ["logits"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT16, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 5])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    path = tmp_path / "small.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def test_operations_and_bytes_are_counted_by_hand(small_graph: Path) -> None:
    convolution, product = costs(small_graph, batch=2)
    assert convolution == Cost(
        flops=2.0 * (2 * 4 * 8 * 8) * (3 * 3 * 3),
        bytes=2.0 * (2 * 3 * 8 * 8 + 4 * 3 * 3 * 3 + 2 * 4 * 8 * 8),
        half=True,
    )
    assert product == Cost(flops=2.0 * (2 * 5) * 4, bytes=4.0 * (2 * 4 + 5 * 4 + 2 * 5), half=False)


def test_the_least_time_is_that_of_the_longer_of_operations_and_bytes() -> None:
    peak = Peak("made up", fp16=100.0, fp32=10.0, memory=50.0)
    busy = Cost(flops=200.0, bytes=10.0, half=True)
    moving = Cost(flops=1.0, bytes=100.0, half=False)
    assert floor_seconds([busy], peak) == 2.0
    assert floor_seconds([moving], peak) == 2.0
    assert floor_seconds([Cost(flops=200.0, bytes=10.0, half=False)], peak) == 20.0
    assert floor_seconds([busy, moving], peak) == 4.0


def test_a_gpu_without_a_data_sheet_has_no_least_time() -> None:
    found = peak_of("NVIDIA H200")
    assert found is not None
    assert found.memory == 4.8e12
    assert peak_of("NVIDIA GeForce GT 710") is None


def test_no_photo_is_no_agreement() -> None:
    assert agrees(Agreement(photos=3, score=0.004, flips=0))
    assert not agrees(Agreement(photos=0, score=0.0, flips=0))
    assert not agrees(Agreement(photos=3, score=0.0, flips=1))
    assert not agrees(Agreement(photos=3, score=0.006, flips=0))
    assert (goal(8000.0), goal(4000.0)) == ("reached", "50% of it")


@pytest.mark.slow
def test_a_dry_run_goes_through_all_of_it_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, photo in {"clean": clean_photo(), "scratched": scratched_photo()}.items():
        (tmp_path / f"{name}.jpg").write_bytes(encode(photo, ".jpg"))
    page = DOCS / "performance.md"
    before = page.read_bytes() if page.exists() else b""
    monkeypatch.setattr(sys, "argv", ["gpu", "--dry-run", "--write", "--photos", str(tmp_path)])
    gpu.main()
    printed = capsys.readouterr().out
    assert "no GPU, a dry run" in printed
    assert f"| form | graph | {' | '.join(map(str, BUCKETS))} |" in printed
    assert "| fp32, captured | `inspector.onnx` | 5 | 0.0000 | 0 | agrees |" in printed
    (answered,) = (line for line in printed.splitlines() if line.startswith("| overlay in the answer"))
    assert answered.split(" | ")[1] == "`inspector.onnx`"
    assert answered.split(" | ")[6] == "0", "all were answered 200"
    assert (page.read_bytes() if page.exists() else b"") == before


def test_without_a_gpu_it_refuses(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if Inspector.load(tiny_bundle, "auto", threads=1).provider != CPU:
        pytest.skip("There is a GPU.")
    monkeypatch.setattr(sys, "argv", ["gpu", "--bundle", str(tiny_bundle)])
    with pytest.raises(SystemExit, match=r"Nothing was measured\. No NVIDIA driver"):
        gpu.main()
