"""The canary: golden photos that go the way of every photo, again and again, and must be judged as ever."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from models.decision import CLEAN
from models.errors import PhotoError
from models.golden import NO_GOLDEN_PHOTOS, GoldenPhoto, golden_photos
from service.errors import (
    DeadlineError,
    QueueFullError,
    ServiceError,
    ShuttingDownError,
    WorkerDiedError,
)

if TYPE_CHECKING:
    from models.inspector import Inspector
    from service.batching import Batcher

RETRY_SECONDS = 2.0

# They say that the service is busy or ends, not that the model is wrong; readiness has its own eye on both.
_NOT_THE_MODEL = (QueueFullError, DeadlineError, ShuttingDownError, WorkerDiedError)

log = logging.getLogger(__name__)


class Canary:
    """The golden photos of one loaded bundle, and whether they give their recorded results now."""

    def __init__(self, inspector: "Inspector", batcher: "Batcher", seconds: float) -> None:
        """
        Args:
            seconds: the time one golden photo may take, waiting included.

        Raises:
            BundleError: when the golden photos cannot be read.
        """
        self._inspector = inspector
        self._batcher = batcher
        self._seconds = seconds
        # Kept in memory: a disk that goes away does not make the model wrong.
        self._photos = golden_photos(inspector.bundle)
        self._failure = ""

    @property
    def failure(self) -> str:
        """What was wrong when it ran last; empty when all was right."""
        return self._failure

    def check_all(self) -> list[str]:
        """Run every golden photo; return what differs from the recorded results, empty when all agree.

        Raises:
            ServiceError, PhotoError: when one could not be run at all.
        """
        if not self._photos:
            return [NO_GOLDEN_PHOTOS]
        return [difference for photo in self._photos if (difference := self._difference(photo))]

    def check(self) -> None:
        """Run a good and a defective golden photo, one by one, and note in `failure` what is wrong."""
        try:
            failure = next(filter(None, map(self._difference, _good_and_defective(self._photos))), "")
        except _NOT_THE_MODEL as error:
            log.info("The canary of %s could not run: %s", self._inspector.manifest.part, error.problem)
            return
        except (ServiceError, PhotoError) as error:
            failure = f"a golden photo could not be inspected: {error.problem.rstrip('.')}"
        except Exception as error:
            # Whatever else stands in the way of a known photo stands in the way of all.
            log.exception("The canary of %s failed.", self._inspector.manifest.part)
            failure = f"a golden photo could not be inspected: {error!r}"
        if failure and not self._failure:
            log.error("The canary of %s failed: %s", self._inspector.manifest.part, failure)
        if self._failure and not failure:
            log.warning("The canary of %s passes again.", self._inspector.manifest.part)
        self._failure = failure

    def _difference(self, photo: GoldenPhoto) -> str:
        prepared = self._inspector.prepare(photo.data)
        deadline = time.monotonic() + self._seconds
        pending = self._batcher.submit(self._inspector, prepared.tensor, deadline)
        try:
            ran = pending.result(self._seconds)
        except TimeoutError:
            pending.cancel()
            raise DeadlineError from None
        return photo.compare(self._inspector.answer(prepared, ran.outputs), ran.outputs)


class CanaryWatch:
    """Runs the canaries of all loaded parts on a timer, one photo at a time, in a thread of its own."""

    def __init__(self, canaries: Callable[[], Iterable[Canary]], seconds: float) -> None:
        """
        Args:
            canaries: gives those of the parts that are loaded now.
            seconds: between two rounds; one that failed is tried again sooner.
        """
        self._canaries = canaries
        self._seconds = seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="glint-canary", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop before the next photo."""
        self._stopping.set()

    def _work(self) -> None:
        due = time.monotonic() + self._seconds
        pause = min(self._seconds, RETRY_SECONDS)
        while not self._stopping.wait(pause):
            everyone = time.monotonic() >= due
            for canary in self._canaries():
                if (everyone or canary.failure) and not self._stopping.is_set():
                    canary.check()
            if everyone:
                due = time.monotonic() + self._seconds


def _good_and_defective(photos: Sequence[GoldenPhoto]) -> list[GoldenPhoto]:
    good = [photo for photo in photos if photo.result.verdict == CLEAN]
    defective = [photo for photo in photos if photo.result.verdict != CLEAN]
    return [*good[:1], *defective[:1]]
