"""On a GPU each batch size is warmed up, and run, in the worker's thread and through its own memory."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

from models.cuda.memory import CpuMemory
from models.cuda.runs import FixedRuns
from models.errors import DeviceError
from models.inspector import OUTPUTS, Inspector
from models.session import CPU, CUDA, OpenSession, open_session
from service.batching import Batcher, buckets_for
from service.warming import warm_up
from tests.models.cuda.watching import FailingSession, WatchedSession
from tests.tiny_bundle import anomalous_photo, clean_photo, scratched_photo

SECONDS = 10.0
PHOTOS = [clean_photo((64, 64)), scratched_photo((64, 64)), anomalous_photo((64, 64))]


@pytest.fixture
def batcher() -> Iterator[Batcher]:
    deaths: list[BaseException] = []
    batcher = Batcher("gpu", buckets=(1, 2, 4), capacity=16, on_death=deaths.append)
    yield batcher
    batcher.close(SECONDS)
    assert deaths == []


@pytest.fixture
def on_cpu(tiny_bundle: Path) -> Inspector:
    return Inspector.load(tiny_bundle, "cpu", threads=1)


def as_on_a_gpu(
    inspector: Inspector, wrap: Callable[[Any], WatchedSession]
) -> tuple[Inspector, WatchedSession]:
    """The same bundle with the memory and the runs of a GPU, in plain memory."""
    graph = inspector.bundle.file("inspector.onnx")
    session = wrap(open_session(graph, "cpu", threads=1).session)
    runs = FixedRuns(session, OUTPUTS, CpuMemory(), capture=True)
    return Inspector(inspector.bundle, OpenSession(session, CUDA, runs=runs)), session


def test_all_sizes_run_in_the_worker_from_the_first_time_on(on_cpu: Inspector, batcher: Batcher) -> None:
    inspector, session = as_on_a_gpu(on_cpu, WatchedSession)
    for size in batcher.buckets:
        warm_up(inspector, size, batcher)
    assert len(session.threads) == 1
    assert threading.get_ident() not in session.threads
    assert set(session.captured) == {"1", "2", "4"}
    with batcher.pace.at_work(inspector):
        assert batcher.pace.seconds_for(inspector) == 0.0, "tuning says nothing about how fast photos run"


def test_photos_are_answered_from_the_memory_of_their_batch(on_cpu: Inspector, batcher: Batcher) -> None:
    inspector, session = as_on_a_gpu(on_cpu, WatchedSession)
    for size in batcher.buckets:
        warm_up(inspector, size, batcher)
    session.captured.clear(), session.plain.clear()
    pending = [batcher.submit(inspector, photo, time.monotonic() + SECONDS) for photo in PHOTOS]
    found = [future.result(SECONDS) for future in pending]
    for photo, ran in zip(PHOTOS, found, strict=True):
        (wanted,) = on_cpu.run(photo[None])
        assert np.allclose(ran.outputs.anomaly_map, wanted.anomaly_map, atol=1e-4)
        assert np.allclose(ran.outputs.probabilities, wanted.probabilities, atol=1e-4)
    assert session.captured, "they ran through the captured sizes"
    assert session.plain == []


def test_a_size_that_cannot_be_run_is_the_loaders_fault_and_not_the_workers(
    on_cpu: Inspector, batcher: Batcher
) -> None:
    broken, _ = as_on_a_gpu(
        on_cpu, lambda session: FailingSession(session, RuntimeException("CUDA out of memory"), bound=True)
    )
    with pytest.raises(DeviceError, match="Batches of 4 cannot be run on the GPU: CUDA out of memory"):
        warm_up(broken, 4, batcher)
    ran = batcher.submit(on_cpu, PHOTOS[0], time.monotonic() + SECONDS).result(SECONDS)
    assert ran.outputs.anomaly_score < 1.0
    assert not batcher.dead


def test_on_the_cpu_the_worker_is_not_asked(on_cpu: Inspector) -> None:
    class Untouchable:
        """No batcher at all: whatever is asked of it fails."""

    warm_up(on_cpu, 1, Untouchable())  # type: ignore[arg-type]


def test_every_gpu_runs_the_same_sizes_and_the_cpu_one_photo_at_a_time() -> None:
    assert buckets_for(CUDA) == buckets_for("TensorrtExecutionProvider") == (1, 2, 4, 8, 16, 32)
    assert buckets_for(CPU) == (1,)
