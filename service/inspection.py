"""The use case: the bytes of a photo in, an inspection and its overlay out. No HTTP in here."""

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from models.answer import Inspection
from models.decision import INVALID
from models.formats import OverlayFormat, PhotoLimits
from models.quality import refusals
from service.archive.entries import Entry, Recorded
from service.archive.errors import ArchiveUnavailableError
from service.errors import (
    CanaryFailedError,
    DeadlineError,
    QualityGateError,
    QueueTooLongError,
    ServiceError,
    UntrustworthyError,
)
from service.loading import LoadedPart
from service.orders import Inspected, Order, Seen
from service.places import Places
from service.priority import give_way
from service.registry import Registry
from service.settings import Settings

if TYPE_CHECKING:
    from models.inspector import Prepared
    from service.archive.archive import Archive
    from service.waiting import Ran

T = TypeVar("T")

log = logging.getLogger(__name__)


class InspectionService:
    """Inspects photos: decodes and draws in a pool of threads, runs the model through the device's worker.

    Attributes:
        places: who wants a photo inspected takes one of them first.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        archive: "Archive | None" = None,
        *,
        observe: Callable[[Seen], None] | None = None,
    ) -> None:
        """`observe` is told, on the event loop, of every new inspection before its answer."""
        self._registry = registry
        self._archive = archive
        self._observe = observe
        self.places = Places(settings.queue_size)
        self._limits = PhotoLimits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels)
        self._pool = ThreadPoolExecutor(
            settings.decode_threads, thread_name_prefix="glint-photo", initializer=give_way
        )

    async def inspect(self, order: Order) -> Inspected:
        """Inspect one photo before its deadline.

        Raises:
            PhotoError: when the photo cannot be inspected.
            QualityGateError: when the photo is outside the part's quality gate.
            ServiceError: when it was not inspected; `UntrustworthyError` when the verdict is `invalid`;
                `ArchiveUnavailableError` when it could not be recorded.
        """
        started = time.monotonic()
        part = self._registry.part(order.part)
        if self._archive is not None:
            self._archive.check()
        async with _within(order.deadline, DeadlineError):
            if earlier := await self._find_earlier(order, part):
                return earlier
            _refuse_what_is_late(order, part)
            judged = await self._judge(order, part, started)
        recorded = await self._record(order, judged)
        self._check_verdict(order, recorded)
        try:
            _check_canary(part)
        except CanaryFailedError as error:
            if not recorded.repeated:
                await self._withdraw(order, recorded.inspection, error.problem)
            raise
        if recorded.repeated:
            return _answer(order, recorded)
        if self._archive is not None:
            timings = dict(recorded.inspection.timings_ms)
            now = round(1e3 * (time.monotonic() - started), 3)
            timings |= {"archive": round(now - timings["total"], 3), "total": now}
            told = recorded.inspection.model_copy(update={"timings_ms": timings})
            recorded = replace(recorded, inspection=told)
        self._tell(order, recorded)
        return _answer(order, recorded)

    async def _judge(self, order: Order, part: LoadedPart, started: float) -> Recorded:
        """Decode a photo, run it unless the quality gate keeps it from the model, and decide."""
        # Those that are drawn or recorded are past the device, and make nobody wait for it.
        with part.batcher.pace.at_work(part.inspector):
            prepared, waited = await self._in_pool(order, part.inspector.prepare, order.data, self._limits)
            ran = await self._run(order, part, prepared)
        if ran is None:
            refused = part.inspector.answer(
                prepared, None, serial=order.serial, camera=order.camera, inspection_id=order.inspection_id
            )
            return Recorded(refused, None, None, repeated=False)
        (inspection, overlay, form), waited_again = await self._in_pool(
            order, _conclude, order, part, prepared, ran, self._archive
        )
        _check_canary(part)
        timings = {**inspection.timings_ms, "queue": round(ran.queue_ms + waited + waited_again, 3)}
        timings["total"] = round(1e3 * (time.monotonic() - started), 3)
        inspection = inspection.model_copy(update={"timings_ms": timings})
        return Recorded(inspection, overlay, form, repeated=False)

    async def _run(self, order: Order, part: LoadedPart, prepared: "Prepared") -> "Ran | None":
        """Run a photo through the device, unless the quality gate keeps it from there."""
        if refusals(prepared.quality):
            return None
        submitted = part.batcher.submit(part.inspector, prepared.tensor, order.deadline)
        return await asyncio.wrap_future(submitted)

    def _check_verdict(self, order: Order, recorded: Recorded) -> None:
        if recorded.inspection.verdict == INVALID and not recorded.repeated:
            self._tell(order, recorded)
        _check_verdict(recorded.inspection)

    def _tell(self, order: Order, recorded: Recorded) -> None:
        try:
            if self._observe is not None:
                seen = Seen(recorded.inspection, order.data, recorded.overlay, recorded.overlay_format)
                self._observe(seen)
        except Exception:
            # The verdict stands, whether or not it could be counted.
            log.exception("The inspection %s could not be observed.", recorded.inspection.id)

    async def _find_earlier(self, order: Order, part: LoadedPart) -> Inspected | None:
        """What the same request was answered before, if it was."""
        if self._archive is None or not self._archive.knows_request(order.idempotency_key):
            return None
        sha256, _ = await self._in_pool(order, _sha256, order.data)
        key = self._archive.request_key(order.idempotency_key, order.serial, sha256)
        found = await asyncio.wrap_future(
            self._archive.submit_search(part.inspector.manifest.part, key, sha256)
        )
        if found is None:
            return None
        _check_verdict(found.inspection)
        _check_canary(part)
        return _answer(order, found)

    async def _record(self, order: Order, done: Recorded) -> Recorded:
        """Record an inspection, whatever its verdict; nothing is answered that is not recorded."""
        if self._archive is None:
            return done
        key = None
        # What gave no verdict may well give one when it is sent again.
        if done.inspection.verdict != INVALID and self._archive.knows_request(order.idempotency_key):
            sha256 = done.inspection.image.sha256
            key = self._archive.request_key(order.idempotency_key, order.serial, sha256)
        entry = Entry(done.inspection, order.data, done.overlay, done.overlay_format, key)
        if time.monotonic() >= order.deadline:
            raise DeadlineError
        # Nothing ends a write to a store that hangs, so this waits for it no longer than the photo may.
        async with _within(order.deadline, _not_kept):
            return await asyncio.wrap_future(self._archive.submit(entry, order.deadline))

    async def _withdraw(self, order: Order, inspection: Inspection, reason: str) -> None:
        """Take back a verdict that is recorded and will not be given.

        It goes on after the deadline: what was not given may neither stand in the archive nor be the answer
        to the photo when it comes again.
        """
        if self._archive is None:
            return
        withdrawal = self._archive.submit_withdrawal(inspection, reason)
        withdrawal.add_done_callback(partial(_tell_what_stands, inspection.id, reason))
        with suppress(ArchiveUnavailableError):
            async with _within(order.deadline, DeadlineError):
                await asyncio.shield(asyncio.wrap_future(withdrawal))

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


def _refuse_what_is_late(order: Order, part: LoadedPart) -> None:
    """Refuse a photo that would wait until its deadline, and be computed for nobody.

    Raises:
        QueueTooLongError: never when nothing is ahead of it.
    """
    seconds = part.batcher.pace.seconds_for(part.inspector)
    if seconds and time.monotonic() + seconds > order.deadline:
        raise QueueTooLongError(seconds)


@asynccontextmanager
async def _within(deadline: float, late: Callable[[], ServiceError]) -> AsyncIterator[None]:
    """Raise `late()` when the block goes on past the deadline."""
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            yield
    except TimeoutError:
        raise late() from None


def _tell_what_stands(inspection_id: str, reason: str, withdrawal: Future[None]) -> None:
    fault = "it was not begun" if withdrawal.cancelled() else withdrawal.exception()
    if fault is not None:
        log.error(
            "The record of %s holds a verdict that was not given (%s): %s", inspection_id, reason, fault
        )


def _not_kept() -> ServiceError:
    return ArchiveUnavailableError("the photo could not be kept before the deadline")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _answer(order: Order, recorded: Recorded) -> Inspected:
    """The answer to an order: an overlay that only the archive wanted is left out."""
    overlay = recorded.overlay if order.overlay is not None else None
    return Inspected(recorded.inspection, overlay, recorded.overlay_format, recorded.repeated)


def _check_canary(part: LoadedPart) -> None:
    """Raise if the canary has failed since the photo came in, perhaps by a fault that met the photo too."""
    if part.canary.failure:
        raise CanaryFailedError(part.inspector.manifest.part, part.canary.failure)


def _check_verdict(inspection: Inspection) -> None:
    """Raise what keeps an `invalid` inspection from being answered as if it had a verdict."""
    if inspection.verdict != INVALID:
        return
    if refusals(inspection.quality):
        raise QualityGateError(inspection.quality)
    raise UntrustworthyError(inspection.review_reasons)


def _conclude(
    order: Order, part: LoadedPart, prepared: "Prepared", ran: "Ran", archive: "Archive | None"
) -> tuple[Inspection, bytes | None, OverlayFormat | None]:
    """Decide over a photo that ran, and draw its overlay for the caller or the archive."""
    inspection = part.inspector.answer(
        prepared,
        ran.outputs,
        serial=order.serial,
        camera=order.camera,
        inspection_id=order.inspection_id,
        timings_ms={"queue": ran.queue_ms, "inference": ran.inference_ms},
    )
    form = order.overlay
    if form is None and archive is not None and archive.wants_overlay(inspection):
        form = "jpeg"
    if form is None or inspection.verdict == INVALID:
        return inspection, None, None
    started = time.monotonic()
    overlay = part.inspector.encoded_overlay(prepared, ran.outputs, form)
    drawn = round(1e3 * (time.monotonic() - started), 3)
    timings = {**inspection.timings_ms, "overlay": drawn}
    return inspection.model_copy(update={"timings_ms": timings}), overlay, form
