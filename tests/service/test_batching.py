"""The batcher: what it runs together, what it refuses, and who learns of a failure."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from models.inspector import Inspector, Outputs
from models.session import CPU, CUDA
from service.batching import FAILURES_BEFORE_PROOF, Batcher, buckets_for
from service.errors import (
    DeadlineError,
    DeviceLostError,
    InferenceError,
    QueueFullError,
    ShuttingDownError,
    WorkerDiedError,
)
from tests.tiny_bundle import Pixels, clean_photo, poisonous_photo, scratched_photo

SECONDS = 10.0


class GatedRunner:
    """Answers each photo with its first pixel as the anomaly score, but only while its gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.batches: list[list[int]] = []

    def run(self, batch: Pixels) -> list[Outputs]:
        self.batches.append([int(photo[0, 0, 0]) for photo in batch])
        self.entered.release()
        assert self.gate.wait(SECONDS), "the test never opened the gate"
        zeros = np.zeros((2, 2), np.float32)
        return [Outputs(np.ones(1, np.float32), zeros, float(photo[0, 0, 0])) for photo in batch]


class FailingRunner:
    """Raises what it was given."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def run(self, batch: Pixels) -> list[Outputs]:
        raise self.error


class ForgetfulRunner:
    """Answers only the first photo of a batch."""

    def run(self, batch: Pixels) -> list[Outputs]:
        return [Outputs(np.ones(1, np.float32), np.zeros((2, 2), np.float32), 1.0)]


class Workers:
    """Makes batchers and remembers the deaths of their workers."""

    def __init__(self) -> None:
        self.made: list[Batcher] = []
        self.deaths: list[BaseException] = []

    def start(self, buckets: Sequence[int] = (1, 2, 4), capacity: int = 16) -> Batcher:
        batcher = Batcher("test", buckets=buckets, capacity=capacity, on_death=self.deaths.append)
        self.made.append(batcher)
        return batcher


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers()
    yield workers
    for batcher in workers.made:
        batcher.close(SECONDS)


@pytest.fixture
def runner() -> Iterator[GatedRunner]:
    runner = GatedRunner()
    yield runner
    runner.gate.set()


def photo(value: int) -> Pixels:
    return np.full((4, 4, 3), value, np.uint8)


def soon() -> float:
    return time.monotonic() + SECONDS


def occupy(batcher: Batcher, runner: GatedRunner) -> None:
    """Make the worker busy with photo 0, so that what is submitted next has to wait."""
    batcher.submit(runner, photo(0), soon())
    assert runner.entered.acquire(timeout=SECONDS)


def test_a_lone_photo_runs_at_once_and_alone(workers: Workers, runner: GatedRunner) -> None:
    runner.gate.set()
    ran = workers.start().submit(runner, photo(7), soon()).result(SECONDS)
    assert ran.outputs.anomaly_score == 7.0
    assert ran.batch_size == 1
    assert ran.queue_ms >= 0.0
    assert ran.inference_ms >= 0.0


def test_photos_that_wait_run_together_up_to_the_largest_bucket_the_oldest_first(
    workers: Workers, runner: GatedRunner
) -> None:
    batcher = workers.start(buckets=(1, 2, 4))
    occupy(batcher, runner)
    futures = [batcher.submit(runner, photo(value), soon()) for value in range(1, 7)]
    runner.gate.set()
    assert [future.result(SECONDS).outputs.anomaly_score for future in futures] == [1, 2, 3, 4, 5, 6]
    assert runner.batches == [[0], [1, 2, 3, 4], [5, 6]]
    assert futures[0].result().queue_ms > 0.0


def test_a_batch_between_two_buckets_is_padded_and_the_padding_answers_nobody(
    workers: Workers, runner: GatedRunner
) -> None:
    batcher = workers.start(buckets=(1, 2, 4))
    occupy(batcher, runner)
    futures = [batcher.submit(runner, photo(value), soon()) for value in (9, 8, 7)]
    runner.gate.set()
    assert [future.result(SECONDS).outputs.anomaly_score for future in futures] == [9, 8, 7]
    assert runner.batches == [[0], [9, 8, 7, 0]]


def test_parts_share_the_worker_and_are_never_mixed_in_a_batch(workers: Workers, runner: GatedRunner) -> None:
    batcher, other = workers.start(), GatedRunner()
    other.gate.set()
    occupy(batcher, runner)
    order = [(runner, 1), (other, 2), (runner, 3), (other, 4)]
    futures = [batcher.submit(which, photo(value), soon()) for which, value in order]
    runner.gate.set()
    assert [future.result(SECONDS).outputs.anomaly_score for future in futures] == [1, 2, 3, 4]
    assert runner.batches == [[0], [1, 3]]
    assert other.batches == [[2, 4]]


def test_a_full_queue_refuses_at_once(workers: Workers, runner: GatedRunner) -> None:
    batcher = workers.start(capacity=2)
    occupy(batcher, runner)
    waiting = [batcher.submit(runner, photo(value), soon()) for value in (1, 2)]
    begun = time.monotonic()
    with pytest.raises(QueueFullError):
        batcher.submit(runner, photo(3), soon())
    assert time.monotonic() - begun < 0.05
    runner.gate.set()
    assert [future.result(SECONDS).outputs.anomaly_score for future in waiting] == [1, 2]


def test_expired_work_is_dropped_before_it_runs(workers: Workers, runner: GatedRunner) -> None:
    batcher = workers.start()
    occupy(batcher, runner)
    late = batcher.submit(runner, photo(1), time.monotonic() + 0.01)
    in_time = batcher.submit(runner, photo(2), soon())
    time.sleep(0.02)
    runner.gate.set()
    assert in_time.result(SECONDS).outputs.anomaly_score == 2
    with pytest.raises(DeadlineError):
        late.result(SECONDS)
    assert runner.batches == [[0], [2]]


def test_expired_work_gives_up_its_place_in_a_full_queue(workers: Workers, runner: GatedRunner) -> None:
    batcher = workers.start(capacity=1)
    occupy(batcher, runner)
    late = batcher.submit(runner, photo(1), time.monotonic() - 1.0)
    in_time = batcher.submit(runner, photo(2), soon())
    with pytest.raises(DeadlineError):
        late.result(0)
    runner.gate.set()
    assert in_time.result(SECONDS).outputs.anomaly_score == 2


def test_a_cancelled_photo_never_runs(workers: Workers, runner: GatedRunner) -> None:
    batcher = workers.start()
    occupy(batcher, runner)
    left, stayed = (batcher.submit(runner, photo(value), soon()) for value in (1, 2))
    assert left.cancel()
    runner.gate.set()
    assert stayed.result(SECONDS).outputs.anomaly_score == 2
    assert runner.batches == [[0], [2]]


def test_an_exception_reaches_the_caller_and_the_worker_lives_on(
    workers: Workers, runner: GatedRunner
) -> None:
    batcher = workers.start()
    with pytest.raises(InferenceError, match="out of memory"):
        batcher.submit(FailingRunner(MemoryError("out of memory")), photo(1), soon()).result(SECONDS)
    runner.gate.set()
    assert batcher.submit(runner, photo(2), soon()).result(SECONDS).outputs.anomaly_score == 2
    assert not batcher.dead


def test_of_a_failed_batch_only_the_poisonous_photo_fails(
    workers: Workers, runner: GatedRunner, tiny_bundle: Path
) -> None:
    batcher = workers.start(buckets=(1, 2, 4, 8))
    inspector = Inspector.load(tiny_bundle, "cpu", threads=1)
    photos = [clean_photo((64, 64)), poisonous_photo((64, 64)), scratched_photo((64, 64))]
    with pytest.raises(Exception, match="out of data bounds"):
        inspector.run(np.stack(photos))
    occupy(batcher, runner)
    clean, poisonous, scratched = [batcher.submit(inspector, pixels, soon()) for pixels in photos]
    runner.gate.set()
    assert clean.result(SECONDS).outputs.probabilities[1] < 0.5
    assert scratched.result(SECONDS).outputs.probabilities[1] > 0.5
    with pytest.raises(InferenceError, match="out of data bounds"):
        poisonous.result(SECONDS)


def test_too_few_answers_fail_rather_than_go_to_the_wrong_photo(
    workers: Workers, runner: GatedRunner
) -> None:
    batcher, forgetful = workers.start(), ForgetfulRunner()
    occupy(batcher, runner)
    futures = [batcher.submit(forgetful, photo(value), soon()) for value in (1, 2)]
    runner.gate.set()
    # Run alone, each gets the one answer that is then its own.
    assert [future.result(SECONDS).batch_size for future in futures] == [1, 1]


def test_a_dead_worker_tells_every_caller_and_refuses_the_next(workers: Workers, runner: GatedRunner) -> None:
    batcher = workers.start()
    occupy(batcher, runner)
    fatal = SystemExit("the driver is gone")
    running = batcher.submit(FailingRunner(fatal), photo(1), soon())
    waiting = batcher.submit(runner, photo(2), soon())
    runner.gate.set()
    for future in (running, waiting):
        with pytest.raises(WorkerDiedError):
            future.result(SECONDS)
    assert batcher.dead
    with pytest.raises(WorkerDiedError):
        batcher.submit(runner, photo(3), soon())
    batcher.close(SECONDS)
    assert workers.deaths == [fatal]


def test_closing_answers_what_waits_and_refuses_the_rest(workers: Workers, runner: GatedRunner) -> None:
    batcher = workers.start()
    occupy(batcher, runner)
    waiting = batcher.submit(runner, photo(1), soon())
    threading.Timer(0.05, runner.gate.set).start()
    batcher.close(SECONDS)
    assert waiting.result(0).outputs.anomaly_score == 1
    with pytest.raises(ShuttingDownError):
        batcher.submit(runner, photo(2), soon())


def test_closing_does_not_wait_for_ever_for_a_stuck_model(workers: Workers, runner: GatedRunner) -> None:
    batcher = workers.start()
    occupy(batcher, runner)
    waiting = batcher.submit(runner, photo(1), soon())
    assert batcher.busy_seconds() > 0.0
    batcher.close(0.02)
    with pytest.raises(ShuttingDownError):
        waiting.result(0)
    runner.gate.set()
    batcher.close(SECONDS)
    assert workers.deaths == []


def test_a_stuck_model_that_fails_after_closing_does_not_kill_the_worker(
    workers: Workers, runner: GatedRunner
) -> None:
    class FailsLate:
        def run(self, batch: Pixels) -> list[Outputs]:
            runner.run(batch)
            raise RuntimeError("the driver came back, but not with an answer")

    batcher = workers.start()
    future = batcher.submit(FailsLate(), photo(1), soon())
    assert runner.entered.acquire(timeout=SECONDS)
    batcher.close(0.02)
    with pytest.raises(ShuttingDownError):
        future.result(0)
    runner.gate.set()
    batcher.close(SECONDS)
    assert workers.deaths == []


class CrowdedRunner(GatedRunner):
    """Has memory for `most` photos at a time."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def run(self, batch: Pixels) -> list[Outputs]:
        outputs = super().run(batch)
        if len(batch) > self.most:
            raise RuntimeError("CUDA failure 2: out of memory ; GPU=0")
        return outputs


def test_a_batch_that_does_not_fit_into_memory_is_halved_until_it_does(workers: Workers) -> None:
    batcher, crowded = workers.start(buckets=(1, 2, 4, 8)), CrowdedRunner(2)
    occupy(batcher, crowded)
    futures = [batcher.submit(crowded, photo(value), soon()) for value in range(1, 9)]
    crowded.gate.set()
    assert [future.result(SECONDS).outputs.anomaly_score for future in futures] == list(range(1, 9))
    sizes = [len(batch) for batch in crowded.batches]
    assert sizes == [1, 8, 4, 2, 2, 4, 2, 2]


def test_without_memory_for_one_photo_that_one_fails(workers: Workers, runner: GatedRunner) -> None:
    batcher, crowded = workers.start(), CrowdedRunner(0)
    crowded.gate.set()
    with pytest.raises(InferenceError, match="out of memory"):
        batcher.submit(crowded, photo(1), soon()).result(SECONDS)
    assert not batcher.dead


def test_a_lost_gpu_ends_the_worker_at_once(workers: Workers, runner: GatedRunner) -> None:
    batcher = workers.start()
    occupy(batcher, runner)
    lost = batcher.submit(FailingRunner(RuntimeError("CUDA failure 700: illegal access")), photo(1), soon())
    waiting = batcher.submit(runner, photo(2), soon())
    runner.gate.set()
    for future in (lost, waiting):
        with pytest.raises(WorkerDiedError):
            future.result(SECONDS)
    batcher.close(SECONDS)
    (death,) = workers.deaths
    assert isinstance(death, DeviceLostError)
    assert "CUDA failure 700" in batcher.death


def test_a_model_that_fails_on_every_photo_ends_the_worker(workers: Workers) -> None:
    batcher, failing = workers.start(), FailingRunner(RuntimeError("no kernel image"))
    for number in range(FAILURES_BEFORE_PROOF):
        future = batcher.submit(failing, photo(number), soon())
        with pytest.raises((InferenceError, WorkerDiedError)):
            future.result(SECONDS)
    batcher.close(SECONDS)
    assert batcher.dead
    assert "no kernel image" in batcher.death


def test_photos_the_model_fails_on_never_end_the_worker(
    workers: Workers, runner: GatedRunner, tiny_bundle: Path
) -> None:
    batcher = workers.start()
    inspector = Inspector.load(tiny_bundle, "cpu", threads=1)
    for _ in range(3 * FAILURES_BEFORE_PROOF):
        with pytest.raises(InferenceError):
            batcher.submit(inspector, poisonous_photo((64, 64)), soon()).result(SECONDS)
    assert batcher.submit(inspector, clean_photo((64, 64)), soon()).result(SECONDS)
    assert not batcher.dead


def test_a_gpu_runs_fixed_batch_sizes_and_a_cpu_one_photo_at_a_time() -> None:
    assert buckets_for(CUDA) == (1, 2, 4, 8, 16, 32)
    assert buckets_for(CPU) == (1,)
