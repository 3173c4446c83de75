"""Models that run when, and as, a test tells them, and batchers to run them."""

import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from models.inspector import Outputs
from service.batching import Batcher
from tests.tiny_bundle import Pixels

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


class Workers:
    """Makes batchers and remembers the deaths of their workers."""

    def __init__(self) -> None:
        self.made: list[Batcher] = []
        self.deaths: list[BaseException] = []

    def start(self, buckets: Sequence[int] = (1, 2, 4), capacity: int = 16, lanes: int = 1) -> Batcher:
        batcher = Batcher(
            "test", buckets=buckets, capacity=capacity, on_death=self.deaths.append, lanes=lanes
        )
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
