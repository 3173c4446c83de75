"""The worker of a device runs what is waiting, for all parts, in batches of fixed sizes."""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.cores import usable_cores
from models.inspector import Outputs
from models.session import CPU
from service.device_faults import fault_of
from service.errors import (
    DeviceLostError,
    InferenceError,
    QueueFullError,
    ServiceError,
    ShuttingDownError,
    WorkerDiedError,
    reason_of,
)
from service.pace import Pace
from service.priority import give_way
from service.waiting import Item, Ran, Runner, StagedRunner

FAILURES_BEFORE_PROOF = 5
CPU_LANES = 2

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Lane:
    """A thread that runs one batch at a time: which photos, and since when (None while idle)."""

    thread: threading.Thread
    running: list[Item] = field(default_factory=list)
    busy_since: float | None = None


def buckets_for(provider: str) -> tuple[int, ...]:
    """The batch sizes that run on a device.

    A batch does not help a CPU. On a GPU each size is tuned once, so that no new size comes up later.
    """
    return (1,) if provider == CPU else (1, 2, 4, 8, 16, 32)


def lanes_for(provider: str, threads: int | None = None) -> int:
    """How many batches run at the same time on a device whose model has so many CPU threads.

    On a CPU two: where the threads of one run wait for each other, or for a core that decodes a photo, the
    other run goes on. A photo that is alone still gets all threads.
    """
    return min(CPU_LANES, threads or usable_cores()) if provider == CPU else 1


class Batcher:
    """Runs photos of all parts on one device, the longest waiting first, in threads of its own.

    All parts share them as they share the device, and there are few: more would only take its cores and
    memory from each other. Nothing waits for a batch to fill: an idle worker runs what is there.
    """

    def __init__(
        self,
        name: str,
        *,
        buckets: Sequence[int],
        capacity: int,
        on_death: Callable[[BaseException], None],
        lanes: int = 1,
    ) -> None:
        """
        Args:
            name: names the threads.
            buckets: the batch sizes that run, ascending; a batch between two is padded.
            capacity: how many photos may wait; more are refused at once.
            on_death: called from the worker if it dies, after every waiting caller got an error.
            lanes: how many batches run at the same time.
        """
        self._buckets = tuple(buckets)
        self._capacity = capacity
        self._on_death = on_death
        self._condition = threading.Condition()
        self._waiting: deque[Item] = deque()
        self._batch_sizes: Counter[int] = Counter()
        self._closing = False
        self._death = ""
        self._failures_in_a_row = 0
        self._pace = Pace(largest=self._buckets[-1], lanes=lanes)
        self._lanes = [self._lane(f"glint-worker-{name}-{number}") for number in range(lanes)]
        for lane in self._lanes:
            lane.thread.start()

    def submit(
        self, runner: Runner, tensor: npt.NDArray[np.uint8], deadline: float, *, typical: bool = True
    ) -> "Future[Ran]":
        """Queue one photo, uint8 [H, W, 3]; `deadline` is a time of `time.monotonic`.

        Cancel the future to take the photo back while it waits. A run that is not `typical` of photos, such
        as a warm-up, says nothing about the device's pace.

        Raises:
            QueueFullError, WorkerDiedError, ShuttingDownError: at once, never after waiting. The future
                additionally raises `DeadlineError` and `InferenceError`.
        """
        item = Item(runner, tensor, deadline, typical)
        with self._condition:
            if self._death:
                raise WorkerDiedError
            if self._closing:
                raise ShuttingDownError
            if len(self._waiting) >= self._capacity:
                self._drop_what_is_not_due()
            if len(self._waiting) >= self._capacity:
                raise QueueFullError(self._capacity)
            self._waiting.append(item)
            self._condition.notify()
        return item.future

    @property
    def buckets(self) -> tuple[int, ...]:
        """The batch sizes that run, ascending."""
        return self._buckets

    @property
    def dead(self) -> bool:
        """Whether the worker has died."""
        return bool(self._death)

    @property
    def death(self) -> str:
        """Why the worker has died; empty while it lives."""
        return self._death

    @property
    def waiting(self) -> int:
        """How many photos wait for the device."""
        return len(self._waiting)

    @property
    def batch_sizes(self) -> dict[int, int]:
        """How many batches of each size were begun."""
        return dict(self._batch_sizes)

    def busy_seconds(self) -> float:
        """For how long the oldest batch that runs has been running; 0 when idle."""
        begun = [since for lane in self._lanes if (since := lane.busy_since) is not None]
        return time.monotonic() - min(begun) if begun else 0.0

    @property
    def pace(self) -> Pace:
        """What is on its way through the device, and how long it will take."""
        return self._pace

    def close(self, timeout: float) -> None:
        """Take nothing new, run what waits, end the worker; after `timeout` s the rest gets an error."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        last = time.monotonic() + timeout
        for lane in self._lanes:
            lane.thread.join(max(0.0, last - time.monotonic()))
        with self._condition:
            self._fail_all(ShuttingDownError)

    def _lane(self, name: str) -> _Lane:
        lane = _Lane(threading.Thread(target=lambda: self._work(lane), name=name, daemon=True))
        return lane

    def _work(self, lane: _Lane) -> None:
        give_way()
        try:
            while batch := self._next_batch(lane):
                lane.busy_since = time.monotonic()
                self._run(batch)
                lane.busy_since = None
        except BaseException as error:  # even SystemExit: whatever ends this thread must not go unseen
            self._die(lane, error)

    def _next_batch(self, lane: _Lane) -> list[Item]:
        """Wait for photos; take the first and others for the same model. Empty when closing and done."""
        with self._condition:
            while True:
                lane.running = []
                self._drop_what_is_not_due()
                if self._death or (not self._waiting and self._closing):
                    return []
                if not self._waiting:
                    self._condition.wait()
                    continue
                runner = self._waiting[0].runner
                taken = [item for item in self._waiting if item.runner is runner][: self._buckets[-1]]
                lane.running = taken
                self._waiting = deque(item for item in self._waiting if item not in taken)
                lane.running = [item for item in taken if item.future.set_running_or_notify_cancel()]
                if lane.running:
                    self._batch_sizes[len(lane.running)] += 1
                    return list(lane.running)

    def _run(self, batch: list[Item]) -> None:
        started = time.monotonic()
        try:
            outputs = self._run_padded(batch)
        except Exception as error:
            self._find_the_fault(batch, error)
            return
        self._failures_in_a_row = 0
        seconds = time.monotonic() - started
        if batch[0].typical:
            self._pace.learn(batch[0].runner, seconds)
        for item, output in zip(batch, outputs, strict=True):
            item.answer(Ran(output, 1e3 * (started - item.submitted), 1e3 * seconds, len(batch)))

    def _run_padded(self, batch: list[Item]) -> list[Outputs]:
        size = next(bucket for bucket in self._buckets if bucket >= len(batch))
        runner, photos = batch[0].runner, [item.tensor for item in batch]
        staged = runner.stage(photos, size) if isinstance(runner, StagedRunner) else None
        outputs = runner.run(_padded(photos, size) if staged is None else staged)
        if len(outputs) != size:
            raise RuntimeError(f"the model gave {len(outputs)} answers to {size} photos")
        return outputs[: len(batch)]

    def _find_the_fault(self, batch: list[Item], error: Exception) -> None:
        """Run a failed batch in smaller ones, so that only the photos at fault fail.

        Raises:
            DeviceLostError: when no batch can run on this device any more.
        """
        log.error("A batch of %d failed: %s", len(batch), error)
        fault = fault_of(error)
        if fault == "device_lost":
            raise DeviceLostError(reason_of(error)) from error
        if len(batch) == 1:
            batch[0].fail(InferenceError(reason_of(error)))
            with self._condition:
                self._failures_in_a_row += 1
            if self._failures_in_a_row >= FAILURES_BEFORE_PROOF:
                self._prove_the_device(batch[0])
            return
        size = (len(batch) + 1) // 2 if fault == "out_of_memory" else 1
        for first in range(0, len(batch), size):
            if part := [item for item in batch[first : first + size] if item.is_due()]:
                self._run(part)

    def _prove_the_device(self, item: Item) -> None:
        """Tell photos that the model fails on from a device that fails on all: run a black one.

        Raises:
            DeviceLostError: when that fails too.
        """
        try:
            item.runner.run(np.zeros_like(item.tensor)[None])
        except Exception as error:
            raise DeviceLostError(
                f"{self._failures_in_a_row} runs in a row failed, {reason_of(error)}"
            ) from error
        self._failures_in_a_row = 0

    def _drop_what_is_not_due(self) -> None:
        self._waiting = deque(item for item in self._waiting if item.is_due())

    def _die(self, lane: _Lane, error: BaseException) -> None:
        log.critical("The worker %s died.", lane.thread.name, exc_info=error)
        with self._condition:
            self._death = self._death or reason_of(error)
            self._fail_all(WorkerDiedError)
            self._condition.notify_all()
        self._on_death(error)

    def _fail_all(self, error: Callable[[], ServiceError]) -> None:
        left = [*self._waiting, *(item for lane in self._lanes for item in lane.running)]
        self._waiting.clear()
        for item in left:
            item.fail(error())


def _padded(photos: Sequence[npt.NDArray[np.uint8]], size: int) -> npt.NDArray[np.uint8]:
    if size == 1:
        return photos[0][None]
    batch = np.zeros((size, *photos[0].shape), dtype=np.uint8)
    for index, photo in enumerate(photos):
        batch[index] = photo
    return batch
