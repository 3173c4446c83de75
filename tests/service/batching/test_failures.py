"""The batcher: who learns of a failure, and what ends the worker."""

from pathlib import Path

import numpy as np
import pytest

from models.inspector import Inspector, Outputs
from service.batching import FAILURES_BEFORE_PROOF
from service.errors import DeviceLostError, InferenceError, ShuttingDownError, WorkerDiedError
from tests.service.batching.conftest import (
    SECONDS,
    FailingRunner,
    GatedRunner,
    Workers,
    occupy,
    photo,
    soon,
)
from tests.tiny_bundle import Pixels, clean_photo, poisonous_photo, scratched_photo


class ForgetfulRunner:
    """Answers only the first photo of a batch."""

    def run(self, batch: Pixels) -> list[Outputs]:
        return [Outputs(np.ones(1, np.float32), np.zeros((2, 2), np.float32), 1.0)]


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
