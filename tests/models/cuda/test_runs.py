"""Runs of fixed sizes: on the CPU by the very path that a GPU takes, captured graphs aside."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

from models.cuda.memory import CpuMemory
from models.cuda.runs import FixedRuns
from models.errors import DeviceError
from models.inspector import OUTPUTS
from models.session import open_session
from tests.models.cuda.watching import FailingSession, StaleSession, WatchedSession
from tests.tiny_bundle import Pixels, anomalous_photo, clean_photo, scratched_photo

SIZE = (64, 64)
PHOTOS = [clean_photo(SIZE), scratched_photo(SIZE), anomalous_photo(SIZE)]
OUT_OF_MEMORY = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer of size 9"
)


@pytest.fixture
def session(tiny_bundle: Path) -> Any:
    return open_session(tiny_bundle / "inspector.onnx", "cpu", threads=1).session


def runs_of(session: Any, *, capture: bool = True) -> FixedRuns:
    return FixedRuns(session, OUTPUTS, CpuMemory(), capture=capture)


def expected(session: Any, photos: list[Pixels]) -> list[Any]:
    return list(session.run(OUTPUTS, {"image": np.stack(photos)}))


def agree(found: list[Any], wanted: list[Any]) -> bool:
    return all(np.allclose(a, b, atol=1e-5) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("capture", [True, False])
def test_each_size_gives_what_the_session_gives(session: Any, capture: bool) -> None:
    runs = runs_of(session, capture=capture)
    for size in (1, 2, 3):
        runs.prepare(size)
        assert agree(runs.run(np.stack(PHOTOS[:size])), expected(session, PHOTOS[:size]))
    assert runs.sizes == (1, 2, 3)


def test_staged_photos_are_run_where_they_lie_and_the_rest_is_black(session: Any) -> None:
    runs = runs_of(session)
    runs.prepare(4)
    staged = runs.stage(PHOTOS, 4)
    assert staged is not None
    assert agree(runs.run(staged), expected(session, [*PHOTOS, np.zeros_like(PHOTOS[0])]))
    again = runs.stage(PHOTOS[:1], 4)
    assert again is staged, "the place never moves"
    assert not again[1:].any(), "nothing of the batch before is left"


def test_answers_outlive_the_next_run(session: Any) -> None:
    runs = runs_of(session)
    runs.prepare(1)
    first = runs.run(PHOTOS[1][None])
    kept = [output.copy() for output in first]
    runs.run(PHOTOS[0][None])
    assert all(np.array_equal(a, b) for a, b in zip(first, kept, strict=True))


def test_each_size_has_its_own_graph_and_other_runs_none(session: Any) -> None:
    watched = WatchedSession(session)
    runs = runs_of(watched)
    for size in (1, 2):
        runs.prepare(size)
    assert set(watched.plain) == {"-1"}
    watched.captured.clear(), watched.plain.clear()
    for size in (2, 1, 3):
        runs.run(np.stack(PHOTOS[:size]))
    assert watched.captured == ["2", "1"]
    assert watched.plain == ["-1"], "a size that was not prepared must not be captured by the way"


def test_another_thread_runs_without_the_graphs_of_the_first(session: Any) -> None:
    """ONNX Runtime keeps graphs by thread: it would capture anew, in the middle of serving."""
    watched = WatchedSession(session)
    runs = runs_of(watched)
    runs.prepare(1)
    watched.captured.clear(), watched.plain.clear()
    seen: list[Any] = []

    def work() -> None:
        seen.extend([runs.stage(PHOTOS[:1], 1), runs.run(PHOTOS[0][None])])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen[0] is None
    assert agree(seen[1], expected(session, PHOTOS[:1]))
    assert (watched.captured, watched.plain) == ([], ["-1"])


def test_sizes_are_prepared_in_one_thread(session: Any) -> None:
    runs = runs_of(session)
    thread = threading.Thread(target=runs.prepare, args=(1,))
    thread.start()
    thread.join()
    with pytest.raises(RuntimeError, match="one thread"):
        runs.prepare(2)


def test_a_replay_that_does_not_read_the_new_photo_is_refused(session: Any) -> None:
    runs = runs_of(StaleSession(session))
    with pytest.raises(DeviceError, match="batch of 2 gives something else") as error:
        runs.prepare(2)
    assert "GLINT_CUDA_GRAPHS" in error.value.remedy
    assert runs.sizes == ()


@pytest.mark.parametrize("bound", [True, False], ids=["while capturing", "while tuning"])
def test_a_size_that_does_not_fit_into_memory_is_refused(session: Any, bound: bool) -> None:
    runs = runs_of(FailingSession(session, RuntimeException(OUT_OF_MEMORY), bound=bound))
    with pytest.raises(DeviceError, match=r"Batches of 8 cannot be run.*Failed to allocate") as error:
        runs.prepare(8)
    assert "GLINT_GPU_MEMORY_MB" in error.value.remedy
    assert runs.stage(PHOTOS, 8) is None


def test_a_graph_of_free_shape_is_refused(session: Any) -> None:
    class Node:
        name = "image"
        shape: tuple[object, ...] = ("N", "height", 64, 3)

    class Free(WatchedSession):
        def get_inputs(self) -> list[Node]:
            return [Node()]

    with pytest.raises(DeviceError, match="no fixed shape"):
        runs_of(Free(session)).prepare(1)
