"""The graph by itself: what the device gives when nothing else is done."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from models.errors import PhotoError
from models.inspector import Inspector
from service.bench.errors import BenchError
from service.bench.measures import Latency, RawRun

_WARM_UP_RUNS = 3


def tensors_of(inspector: Inspector, photos: Sequence[bytes]) -> npt.NDArray[np.uint8]:
    """Photos as the model sees them, uint8 [N, H, W, 3], RGB; those that cannot be inspected are left out.

    Raises:
        BenchError: when that leaves none.
    """
    tensors, refused = [], ""
    for photo in photos:
        try:
            tensors.append(inspector.prepare(photo).tensor)
        except PhotoError as error:
            refused = str(error)
    if not tensors:
        raise BenchError(
            f"None of the {len(photos)} photos can be inspected: {refused}",
            "Name photos as the cameras post them with --photos.",
        )
    return np.stack(tensors)


def run_raw(
    inspector: Inspector, tensors: npt.NDArray[np.uint8], batch: int, lanes: int, seconds: float
) -> RawRun:
    """Run batches of one size for some seconds, one after another in each of so many lanes."""
    chosen = [np.take(tensors, range(n, n + batch), axis=0, mode="wrap") for n in range(len(tensors))]
    inspector.warm_up(batch)
    for number in range(_WARM_UP_RUNS):
        inspector.run(chosen[number % len(chosen)])

    def run_until(end: float) -> list[float]:
        took: list[float] = []
        now = time.perf_counter()
        while now < end or not took:
            inspector.run(chosen[len(took) % len(chosen)])
            took.append(time.perf_counter() - now)
            now += took[-1]
        return took

    begun = time.perf_counter()
    if lanes == 1:  # in this thread: a GPU runs a size in the thread that warmed it up
        took = run_until(begun + seconds)
    else:
        with ThreadPoolExecutor(lanes) as pool:
            each = list(pool.map(run_until, [begun + seconds] * lanes))
        took = [run for lane in each for run in lane]
    whole = time.perf_counter() - begun
    return RawRun(
        batch=batch,
        lanes=lanes,
        runs=len(took),
        photos_per_second=round(batch * len(took) / whole, 3),
        latency=Latency.of(took),
    )
