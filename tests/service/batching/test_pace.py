"""How long a queue will take, by what the last batches took."""

from contextlib import ExitStack

import numpy as np
import pytest

from models.inspector import Outputs
from service.pace import Pace
from tests.service.batching.conftest import SECONDS, GatedRunner, Workers, occupy, photo, soon
from tests.tiny_bundle import Pixels


class Model:
    """A runner that answers at once."""

    def run(self, batch: Pixels) -> list[Outputs]:
        nothing = np.zeros(0, np.float32)
        return [Outputs(nothing, nothing, 0.0) for _ in batch]


A, B = Model(), Model()


def seconds_behind(pace: Pace, photos: dict[Model, int], runner: Model = A) -> float:
    """What a photo of `runner` is told when so many of each are on their way."""
    with ExitStack() as ahead:
        for each, count in photos.items():
            for _ in range(count):
                ahead.enter_context(pace.at_work(each))
        return pace.seconds_for(runner)


def test_without_a_run_nothing_is_known_and_nothing_refused() -> None:
    assert seconds_behind(Pace(largest=1, lanes=1), {A: 1000}) == 0.0


def test_it_follows_the_device() -> None:
    pace = Pace(largest=1, lanes=1)
    pace.learn(A, 0.1)
    few, many = seconds_behind(pace, {A: 1}), seconds_behind(pace, {A: 11})
    assert many - few == pytest.approx(1.0)
    for _ in range(100):
        pace.learn(A, 0.4)
    assert seconds_behind(pace, {A: 11}) == pytest.approx(4 * many, rel=0.01)


def test_lanes_share_the_photos() -> None:
    seconds = []
    for lanes in (1, 2):
        pace = Pace(largest=1, lanes=lanes)
        pace.learn(A, 0.1)
        seconds.append(seconds_behind(pace, {A: 10}))
    assert seconds[0] == pytest.approx(2 * seconds[1])


def test_what_runs_at_once_is_waited_for_once() -> None:
    pace = Pace(largest=32, lanes=1)
    pace.learn(A, 0.01)
    assert seconds_behind(pace, {A: 29}) == pytest.approx(0.01)
    assert seconds_behind(pace, {A: 61}) == pytest.approx(0.02)


def test_photos_of_other_parts_take_their_own_time() -> None:
    pace = Pace(largest=1, lanes=1)
    pace.learn(A, 0.1)
    alone = seconds_behind(pace, {A: 1})
    pace.learn(B, 2.0)
    assert seconds_behind(pace, {A: 1}) == alone, "none of the other part is at work"
    assert seconds_behind(pace, {A: 1, B: 2}) == pytest.approx(alone + 4.0)


def test_one_bad_moment_does_not_keep_a_part_out_while_others_are_busy() -> None:
    pace = Pace(largest=1, lanes=1)
    pace.learn(A, 1000.0)
    pace.learn(B, 0.1)
    assert seconds_behind(pace, {B: 1}) == pytest.approx(0.1)
    assert seconds_behind(pace, {}) == 0.0


def test_the_batcher_learns_from_every_batch(workers: Workers, runner: GatedRunner) -> None:
    batcher = workers.start(buckets=(1,))
    with batcher.pace.at_work(runner):
        assert batcher.pace.seconds_for(runner) == 0.0
        runner.gate.set()
        ran = batcher.submit(runner, photo(1), soon()).result(SECONDS)
        assert batcher.pace.seconds_for(runner) == pytest.approx(4e-3 * ran.inference_ms)


def test_a_full_batch_is_learnt_whole(workers: Workers, runner: GatedRunner) -> None:
    batcher = workers.start(buckets=(1, 2, 4))
    other = GatedRunner()
    runner.gate.set()
    with batcher.pace.at_work(runner):
        occupy(batcher, other)
        futures = [batcher.submit(runner, photo(value), soon()) for value in (1, 2, 3, 4)]
        other.gate.set()
        ran = [future.result(SECONDS) for future in futures]
        assert [each.batch_size for each in ran] == [4] * 4
        assert batcher.pace.seconds_for(runner) == pytest.approx(1e-3 * ran[0].inference_ms)
