"""How long a queue will take, by what the last photos took."""

import pytest

from service.pace import Pace
from tests.service.batching.conftest import SECONDS, GatedRunner, Workers, photo, soon


def test_without_a_run_nothing_is_known_and_nothing_refused() -> None:
    assert Pace().seconds_for(1000) == 0.0


def test_it_follows_the_device() -> None:
    pace = Pace()
    pace.learn(0.1)
    assert pace.seconds_for(10) == pytest.approx(1.0)
    for _ in range(100):
        pace.learn(0.4)
    assert pace.seconds_for(10) == pytest.approx(4.0, rel=0.01)


def test_the_batcher_learns_from_every_run(workers: Workers, runner: GatedRunner) -> None:
    batcher = workers.start()
    assert batcher.pace.seconds_for(1) == 0.0
    runner.gate.set()
    ran = batcher.submit(runner, photo(1), soon()).result(SECONDS)
    assert batcher.pace.seconds_for(1) == pytest.approx(1e-3 * ran.inference_ms)
