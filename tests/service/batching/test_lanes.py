"""A batcher with several lanes: batches side by side, which live and die as one worker."""

import pytest

from models.session import CPU, CUDA
from service.batching import CPU_LANES, lanes_for
from service.errors import WorkerDiedError
from tests.service.batching.conftest import (
    SECONDS,
    FailingRunner,
    GatedRunner,
    Workers,
    occupy,
    photo,
    soon,
)


def test_as_many_batches_run_side_by_side_as_there_are_lanes(workers: Workers, runner: GatedRunner) -> None:
    batcher = workers.start(buckets=(1,), lanes=2)
    occupy(batcher, runner)
    occupy(batcher, runner)
    third = batcher.submit(runner, photo(3), soon())
    assert batcher.waiting == 1
    assert not third.running()
    runner.gate.set()
    assert third.result(SECONDS).outputs.anomaly_score == 3.0
    assert batcher.batch_sizes == {1: 3}


def test_a_lane_that_works_does_not_hide_one_that_is_stuck(workers: Workers, runner: GatedRunner) -> None:
    batcher, other = workers.start(buckets=(1,), lanes=2), GatedRunner()
    occupy(batcher, runner)
    other.gate.set()
    before = batcher.busy_seconds()
    batcher.submit(other, photo(1), soon()).result(SECONDS)
    batcher.submit(other, photo(2), soon()).result(SECONDS)
    assert batcher.busy_seconds() > before > 0.0


def test_when_one_lane_dies_no_caller_of_the_other_gets_an_answer(
    workers: Workers, runner: GatedRunner
) -> None:
    batcher = workers.start(buckets=(1,), lanes=2)
    running = batcher.submit(runner, photo(1), soon())
    assert runner.entered.acquire(timeout=SECONDS)
    fatal = batcher.submit(FailingRunner(SystemExit(1)), photo(2), soon())
    for future in (fatal, running):
        with pytest.raises(WorkerDiedError):
            future.result(SECONDS)
    assert batcher.dead
    with pytest.raises(WorkerDiedError):
        batcher.submit(runner, photo(3), soon())
    runner.gate.set()
    batcher.close(SECONDS)
    assert [type(death) for death in workers.deaths] == [SystemExit]
    assert runner.batches == [[1]]


def test_closing_waits_for_every_lane(workers: Workers, runner: GatedRunner) -> None:
    batcher = workers.start(buckets=(1,), lanes=2)
    futures = [batcher.submit(runner, photo(value), soon()) for value in (1, 2, 3)]
    assert runner.entered.acquire(timeout=SECONDS)
    assert runner.entered.acquire(timeout=SECONDS)
    runner.gate.set()
    batcher.close(SECONDS)
    assert sorted(future.result(0.0).outputs.anomaly_score for future in futures) == [1, 2, 3]


@pytest.mark.parametrize(
    ("provider", "threads", "lanes"), [(CUDA, None, 1), (CUDA, 8, 1), (CPU, 1, 1), (CPU, 8, CPU_LANES)]
)
def test_a_gpu_and_a_single_core_run_one_batch_at_a_time(
    provider: str, threads: int | None, lanes: int
) -> None:
    assert lanes_for(provider, threads) == lanes
