"""The use case: the bytes of a photo in, an inspection and its overlay out. No HTTP in here."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from models.answer import Inspection
from models.decision import INVALID
from models.overlay import OverlayFormat, encode_picture
from models.photo import PhotoLimits
from service.errors import (
    CanaryFailedError,
    DeadlineError,
    QualityGateError,
    QueueFullError,
    UntrustworthyError,
)
from service.loading import LoadedPart
from service.registry import Registry
from service.settings import Settings

if TYPE_CHECKING:
    from models.inspector import Prepared
    from service.batching import Ran

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """One photo to inspect.

    Attributes:
        data: the encoded photo.
        inspection_id: its id, also in the answer.
        deadline: a time of `time.monotonic`, after which the answer is of no use.
        part: which part it shows; None when only one is loaded.
        serial, camera: repeated in the answer.
        overlay: draw the heatmap overlay in this format; None draws none.
    """

    data: bytes
    inspection_id: str
    deadline: float
    part: str | None = None
    serial: str | None = None
    camera: str | None = None
    overlay: OverlayFormat | None = None


@dataclass(frozen=True)
class Inspected:
    """The inspection, whose verdict is never `invalid`, and the encoded overlay if one was asked for."""

    inspection: Inspection
    overlay: bytes | None


class InspectionService:
    """Inspects photos: decodes and draws in a pool of threads, runs the model through the device's worker."""

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        *,
        observe: Callable[[Inspection], None] | None = None,
    ) -> None:
        """`observe` is told of every inspection that has a verdict, on the event loop, before its answer."""
        self._registry = registry
        self._observe = observe
        self._capacity = settings.queue_size
        self._limits = PhotoLimits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels)
        self._pool = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="glint-photo")
        self._inside = 0

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Take a place for one photo, from its upload to its answer. Use it from the event loop only.

        Raises:
            QueueFullError: at once, when all places are taken.
        """
        if self._inside >= self._capacity:
            raise QueueFullError(self._capacity)
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    async def inspect(self, order: Order) -> Inspected:
        """Inspect one photo before its deadline.

        Raises:
            PhotoError: when the photo cannot be inspected.
            QualityGateError: when the photo is outside the part's quality gate.
            ServiceError: when it was not inspected; `UntrustworthyError` when the verdict is `invalid`.
        """
        started = time.monotonic()
        part = self._registry.part(order.part)
        try:
            async with asyncio.timeout(order.deadline - started):
                return await self._inspect(order, part, started)
        except TimeoutError:
            raise DeadlineError from None

    async def _inspect(self, order: Order, part: LoadedPart, started: float) -> Inspected:
        prepared, waited = await self._in_pool(order, part.inspector.prepare, order.data, self._limits)
        if not all(reading.ok for reading in prepared.quality):
            raise QualityGateError(prepared.quality)
        ran = await asyncio.wrap_future(part.batcher.submit(part.inspector, prepared.tensor, order.deadline))
        (inspection, overlay), waited_again = await self._in_pool(
            order, _conclude, order, part, prepared, ran
        )
        if inspection.verdict == INVALID:
            raise UntrustworthyError(inspection.review_reasons)
        if part.canary.failure:
            # It failed while this photo was inspected, perhaps by the same fault.
            raise CanaryFailedError(inspection.part, part.canary.failure)
        timings = dict(inspection.timings_ms)
        timings["queue"] = round(ran.queue_ms + waited + waited_again, 3)
        timings["total"] = round(1e3 * (time.monotonic() - started), 3)
        inspected = Inspected(inspection.model_copy(update={"timings_ms": timings}), overlay)
        self._tell(inspected.inspection)
        return inspected

    def _tell(self, inspection: Inspection) -> None:
        try:
            if self._observe is not None:
                self._observe(inspection)
        except Exception:
            # The verdict stands, whether or not it could be counted.
            log.exception("The inspection %s could not be observed.", inspection.id)

    async def _in_pool(self, order: Order, function: Callable[..., T], *args: Any) -> tuple[T, float]:
        """Run in the pool unless the deadline passes first; return the milliseconds waited as well."""
        submitted = time.monotonic()

        def run() -> tuple[T, float]:
            begun = time.monotonic()
            if begun >= order.deadline:
                raise DeadlineError
            return function(*args), 1e3 * (begun - submitted)

        return await asyncio.wrap_future(self._pool.submit(run))

    def close(self) -> None:
        """End the pool; what runs in it is finished first."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _conclude(
    order: Order, part: LoadedPart, prepared: "Prepared", ran: "Ran"
) -> tuple[Inspection, bytes | None]:
    """Decide over a photo that ran, and draw its overlay."""
    inspection = part.inspector.answer(
        prepared,
        ran.outputs,
        serial=order.serial,
        camera=order.camera,
        inspection_id=order.inspection_id,
        timings_ms={"queue": ran.queue_ms, "inference": ran.inference_ms},
    )
    if order.overlay is None or inspection.verdict == INVALID:
        return inspection, None
    started = time.monotonic()
    overlay = encode_picture(part.inspector.overlay(prepared, ran.outputs), order.overlay)
    drawn = round(1e3 * (time.monotonic() - started), 3)
    timings = {**inspection.timings_ms, "overlay": drawn}
    return inspection.model_copy(update={"timings_ms": timings}), overlay
