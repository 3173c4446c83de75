"""One shadow run: photos wait in a bounded queue until the candidate has time for them."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from service.orders import Seen
from service.shadow.candidate import Candidate
from service.shadow.comparison import ShadowVerdict
from service.shadow.errors import CandidateFaultError, CandidateLostError
from service.shadow.ledger import Ledger

MOST_PHOTOS = 16
MOST_BYTES = 64 * 1024 * 1024
_LARGEST_WRITE = 64
_SECONDS_BETWEEN_LOOKS = 0.02
# Verdicts are written together, so that a shadow run costs the database a commit a second at most.
_SECONDS_BETWEEN_WRITES = 1.0
_SECONDS_TO_END = 10.0

log = logging.getLogger(__name__)


@dataclass
class Counts:
    """What became of photos that were offered to a candidate."""

    judged: int = 0
    flipped: int = 0
    dropped: int = 0
    faults: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.judged + other.judged,
            self.flipped + other.flipped,
            self.dropped + other.dropped,
            self.faults + other.faults,
        )


class ShadowRun:
    """A candidate at work. `offer` costs a camera nothing: it never waits, and never raises."""

    def __init__(
        self,
        part: str,
        version: str,
        candidate: Candidate,
        ledger: Ledger,
        *,
        is_busy: Callable[[], bool],
        seconds: float,
    ) -> None:
        """
        Args:
            candidate: proved already; the run ends it.
            is_busy: whether photos are being inspected; then the candidate begins with none.
            seconds: the time one photo may take.
        """
        self.version = version
        self.ready = candidate.ready
        self.since = datetime.now(UTC)
        self.counts = Counts()
        self.failure = ""
        self.last_fault = ""
        self._part = part
        self._candidate = candidate
        self._ledger = ledger
        self._is_busy = is_busy
        self._seconds = seconds
        self._condition = threading.Condition()
        self._waiting: deque[Seen] = deque()
        self._bytes = 0
        self._said: list[ShadowVerdict] = []
        self._write_at = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"glint-shadow-{part}", daemon=True)
        self._thread.start()

    def offer(self, seen: Seen) -> None:
        """Take a photo that the active bundle has judged; drop it if too many wait."""
        with self._condition:
            # Until the run has ended, photos may come that this very bundle has judged.
            own = seen.inspection.bundle_version == self.version
            if own or self.failure or self._closing.is_set():
                return
            size = len(seen.photo)
            if len(self._waiting) >= MOST_PHOTOS or self._bytes + size > MOST_BYTES:
                self.counts.dropped += 1
                return
            self._waiting.append(seen)
            self._bytes += size
            self._condition.notify()

    def close(self) -> None:
        """End the run; what waits is not judged any more, what was said is kept."""
        self._closing.set()
        with self._condition:
            self._condition.notify()
        self._candidate.kill()
        self._thread.join(_SECONDS_TO_END)

    def _work(self) -> None:
        try:
            while not self._closing.is_set():
                seen = self._next()
                if seen is not None and self._wait_for_calm():
                    self._judge(seen)
                if time.monotonic() >= self._write_at or len(self._said) >= _LARGEST_WRITE:
                    self._write()
        except CandidateLostError as error:
            if not self._closing.is_set():
                self._fail(str(error))
        except Exception as error:
            log.exception("The shadow run of %s %s failed.", self._part, self.version)
            self._fail(repr(error))
        finally:
            self._write()
            self._candidate.close()

    def _next(self) -> Seen | None:
        """The next photo; None when there was none for about a second."""
        with self._condition:
            if not self._waiting:
                self._condition.wait(_SECONDS_BETWEEN_WRITES)
            if not self._waiting:
                return None
            seen = self._waiting.popleft()
            self._bytes -= len(seen.photo)
            return seen

    def _wait_for_calm(self) -> bool:
        """Wait while photos are being inspected; False when the run is to end."""
        while self._is_busy():
            if self._closing.wait(_SECONDS_BETWEEN_LOOKS):
                return False
        return not self._closing.is_set()

    def _judge(self, seen: Seen) -> None:
        try:
            opinion = self._candidate.judge(seen.photo, self._seconds)
        except CandidateFaultError as error:
            self.counts.faults += 1
            self.last_fault = str(error)
            log.warning("%s %s could not judge %s: %s", self._part, self.version, seen.inspection.id, error)
            return
        given = seen.inspection
        said = ShadowVerdict(
            inspection_id=given.id,
            version=self.version,
            time=datetime.now(UTC),
            part=self._part,
            active_version=given.bundle_version,
            active_verdict=given.verdict,
            **opinion.model_dump(),
        )
        self.counts.judged += 1
        self.counts.flipped += said.flipped
        self._said.append(said)

    def _write(self) -> None:
        self._write_at = time.monotonic() + _SECONDS_BETWEEN_WRITES
        if self._said:
            self._ledger.take(self._said)
            self._said = []

    def _fail(self, reason: str) -> None:
        log.error("The shadow run of %s %s has ended: %s", self._part, self.version, reason)
        with self._condition:
            self.failure = reason
            self.counts.faults += 1
            self._waiting.clear()
            self._bytes = 0
