"""The batcher: what it runs together, what it refuses, and how it ends."""

import threading
import time

import pytest

from models.session import CPU, CUDA
from service.batching import buckets_for
from service.errors import DeadlineError, QueueFullError, ShuttingDownError
from tests.service.batching.conftest import SECONDS, GatedRunner, Workers, occupy, photo, soon


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


def test_a_gpu_runs_fixed_batch_sizes_and_a_cpu_one_photo_at_a_time() -> None:
    assert buckets_for(CUDA) == (1, 2, 4, 8, 16, 32)
    assert buckets_for(CPU) == (1,)
