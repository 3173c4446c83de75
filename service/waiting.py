"""A photo on its way through the device: what runs it, until when it may wait, and what came of it."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from models.inspector import Outputs
from service.errors import DeadlineError, ServiceError


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
class Item:
    """A photo that waits for its turn; `deadline` and `submitted` are times of `time.monotonic`.

    `typical`: what its run takes tells what others will take.
    """

    runner: Runner
    tensor: npt.NDArray[np.uint8]
    deadline: float
    typical: bool = True
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
