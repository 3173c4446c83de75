"""One worker thread per device runs what is waiting, for all parts, in batches of fixed sizes."""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from models.inspector import Outputs
from models.session import CPU
from service.device_faults import fault_of
from service.errors import (
    DeadlineError,
    DeviceLostError,
    InferenceError,
    QueueFullError,
    ServiceError,
    ShuttingDownError,
    WorkerDiedError,
    reason_of,
)

FAILURES_BEFORE_PROOF = 5

log = logging.getLogger(__name__)


class Runner(Protocol):
    """What runs a batch: uint8 [N, H, W, 3] to N outputs. An `Inspector` is one."""

    def run(self, batch: npt.NDArray[np.uint8]) -> list[Outputs]:
        """Run the whole batch."""
        ...


@runtime_checkable
class StagedRunner(Runner, Protocol):
    """A runner with a place of its own that batches are read from."""

    def stage(self, photos: Sequence[npt.NDArray[np.uint8]], size: int) -> npt.NDArray[np.uint8] | None:
        """Copy photos there, for a batch of `size`; None if there is no place for that size."""
        ...


@dataclass(frozen=True)
class Ran:
    """One photo's outputs, and the milliseconds it waited and its batch ran."""

    outputs: Outputs
    queue_ms: float
    inference_ms: float
    batch_size: int


@dataclass(frozen=True, eq=False)
class _Item:
    runner: Runner
    tensor: npt.NDArray[np.uint8]
    deadline: float
    future: "Future[Ran]" = field(default_factory=Future)
    submitted: float = field(default_factory=time.monotonic)

    def is_due(self) -> bool:
        """False once nobody waits for it any more; completes its future if the deadline has passed."""
        if self.future.cancelled():
            return False
        if time.monotonic() < self.deadline:
            return True
        self.fail(DeadlineError())
        return False

    # The worker, `close` and a caller who cancels may come at the same moment: the first one counts.

    def answer(self, ran: Ran) -> None:
        with suppress(InvalidStateError):
            self.future.set_result(ran)

    def fail(self, error: ServiceError) -> None:
        with suppress(InvalidStateError):
            self.future.set_exception(error)


def buckets_for(provider: str) -> tuple[int, ...]:
    """The batch sizes that run on a device.

    A batch does not help a CPU. On a GPU each size is tuned once, so that no new size comes up later.
    """
    return (1,) if provider == CPU else (1, 2, 4, 8, 16, 32)


class Batcher:
    """Runs photos of all parts on one device, the longest waiting first, in its own thread.

    One thread serves all parts, since they share the device: side by side, they would only take its
    cores and memory from each other. Nothing waits for a batch to fill: an idle worker runs what is there.
    """

    def __init__(
        self,
        name: str,
        *,
        buckets: Sequence[int],
        capacity: int,
        on_death: Callable[[BaseException], None],
    ) -> None:
        """
        Args:
            name: names the thread.
            buckets: the batch sizes that run, ascending; a batch between two is padded.
            capacity: how many photos may wait; more are refused at once.
            on_death: called from the worker if it dies, after every waiting caller got an error.
        """
        self._buckets = tuple(buckets)
        self._capacity = capacity
        self._on_death = on_death
        self._condition = threading.Condition()
        self._waiting: deque[_Item] = deque()
        self._running: list[_Item] = []
        self._busy_since: float | None = None
        self._batch_sizes: Counter[int] = Counter()
        self._closing = False
        self._death = ""
        self._failures_in_a_row = 0
        self._thread = threading.Thread(target=self._work, name=f"glint-worker-{name}", daemon=True)
        self._thread.start()

    def submit(self, runner: Runner, tensor: npt.NDArray[np.uint8], deadline: float) -> "Future[Ran]":
        """Queue one photo, uint8 [H, W, 3]; `deadline` is a time of `time.monotonic`.

        Cancel the future to take the photo back while it waits.

        Raises:
            QueueFullError, WorkerDiedError, ShuttingDownError: at once, never after waiting. The future
                additionally raises `DeadlineError` and `InferenceError`.
        """
        item = _Item(runner, tensor, deadline)
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
        """For how long the present batch has been running; 0 when idle."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def close(self, timeout: float) -> None:
        """Take nothing new, run what waits, end the worker; after `timeout` s the rest gets an error."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join(timeout)
        with self._condition:
            left = [*self._waiting, *self._running]
            self._waiting.clear()
            for item in left:
                item.fail(ShuttingDownError())

    def _work(self) -> None:
        try:
            while batch := self._next_batch():
                self._busy_since = time.monotonic()
                self._batch_sizes[len(batch)] += 1
                self._run(batch)
                self._busy_since = None
        except BaseException as error:  # even SystemExit: whatever ends this thread must not go unseen
            self._die(error)

    def _next_batch(self) -> list[_Item]:
        """Wait for photos; take the first and others for the same model. Empty when closing and done."""
        with self._condition:
            while True:
                self._running = []
                self._drop_what_is_not_due()
                if not self._waiting and self._closing:
                    return []
                if not self._waiting:
                    self._condition.wait()
                    continue
                runner = self._waiting[0].runner
                taken = [item for item in self._waiting if item.runner is runner][: self._buckets[-1]]
                self._running = taken
                self._waiting = deque(item for item in self._waiting if item not in taken)
                self._running = [item for item in taken if item.future.set_running_or_notify_cancel()]
                if self._running:
                    return list(self._running)

    def _run(self, batch: list[_Item]) -> None:
        started = time.monotonic()
        try:
            outputs = self._run_padded(batch)
        except Exception as error:
            self._find_the_fault(batch, error)
            return
        self._failures_in_a_row = 0
        took = 1e3 * (time.monotonic() - started)
        for item, output in zip(batch, outputs, strict=True):
            item.answer(Ran(output, 1e3 * (started - item.submitted), took, len(batch)))

    def _run_padded(self, batch: list[_Item]) -> list[Outputs]:
        size = next(bucket for bucket in self._buckets if bucket >= len(batch))
        runner, photos = batch[0].runner, [item.tensor for item in batch]
        staged = runner.stage(photos, size) if isinstance(runner, StagedRunner) else None
        outputs = runner.run(_padded(photos, size) if staged is None else staged)
        if len(outputs) != size:
            raise RuntimeError(f"the model gave {len(outputs)} answers to {size} photos")
        return outputs[: len(batch)]

    def _find_the_fault(self, batch: list[_Item], error: Exception) -> None:
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
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= FAILURES_BEFORE_PROOF:
                self._prove_the_device(batch[0])
            return
        size = (len(batch) + 1) // 2 if fault == "out_of_memory" else 1
        for first in range(0, len(batch), size):
            if part := [item for item in batch[first : first + size] if item.is_due()]:
                self._run(part)

    def _prove_the_device(self, item: _Item) -> None:
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

    def _die(self, error: BaseException) -> None:
        log.critical("The worker %s died.", self._thread.name, exc_info=error)
        with self._condition:
            self._death = reason_of(error)
            left = [*self._running, *self._waiting]
            self._waiting.clear()
            for item in left:
                item.fail(WorkerDiedError())
        self._on_death(error)


def _padded(photos: Sequence[npt.NDArray[np.uint8]], size: int) -> npt.NDArray[np.uint8]:
    if size == 1:
        return photos[0][None]
    batch = np.zeros((size, *photos[0].shape), dtype=np.uint8)
    for index, photo in enumerate(photos):
        batch[index] = photo
    return batch
