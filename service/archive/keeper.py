"""A thread that opens the archive, proves again and again that it can be written to, and tidies it."""

import logging
import threading
import time
from datetime import UTC, datetime

from service.archive.database import Database
from service.archive.errors import ArchiveSchemaError, ArchiveUnavailableError
from service.archive.orphans import Orphans
from service.archive.presence import Presence, Trace
from service.archive.retention import Retention
from service.archive.store import PhotoStore
from service.errors import reason_of

# How often the archive is proved while it works, and while it does not.
PROBE_SECONDS = 5.0
RETRY_SECONDS = 1.0
_RETENTION_SECONDS = 60.0
# A proof that takes longer than this has failed, whatever it is waiting for.
STALL_SECONDS = 20.0
_SMALLEST_PROBE = 4096

log = logging.getLogger(__name__)


class Keeper:
    """Knows whether the archive works; nobody else decides that.

    A failed write turns it red, and only a successful proof, which writes to the database and to the store
    as much as failed before, turns it green again.
    """

    def __init__(
        self,
        database: Database,
        store: PhotoStore,
        presence: Presence,
        orphans: Orphans,
        retention: Retention,
    ) -> None:
        self._database = database
        self._store = store
        self._presence = presence
        self._orphans = orphans
        self._retention = retention
        self._failure = "it has not been opened yet"
        self._failed_bytes = 0
        self._reports = 0
        self._lock = threading.Lock()
        self._proof_begun: float | None = None
        self._traces: list[Trace] | None = None
        self._tidy_at = time.monotonic()
        self._stop = threading.Event()
        self._nudge = threading.Event()
        self._thread = threading.Thread(target=self._work, name="glint-archive-keeper", daemon=True)

    def start(self) -> None:
        """Open the archive and start the thread. An archive that cannot be had now is tried again and again.

        Raises:
            ArchiveSchemaError: when a newer Glint has made the database.
        """
        self._prove()
        self._thread.start()

    @property
    def failure(self) -> str:
        """Why nothing can be recorded now; empty when all is well."""
        begun = self._proof_begun
        if begun is not None and time.monotonic() - begun > STALL_SECONDS:
            return self._failure or f"it has not answered for {time.monotonic() - begun:.0f} s"
        return self._failure

    def report(self, reason: str, size: int = 0) -> None:
        """Say that a write of `size` bytes to the store, or one to the database, has failed."""
        with self._lock:
            if not self._failure:
                log.error("The archive cannot be used: %s", reason)
            self._reports += 1
            self._failed_bytes = max(self._failed_bytes, size)
            self._failure = reason or "a write failed"
        self._nudge.set()

    def close(self, timeout: float, *, in_order: bool = True) -> None:
        """End the thread; if all is well and `in_order`, leave no trace for the next start to look into."""
        self._stop.set()
        self._nudge.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        try:
            if in_order and not self._thread.is_alive() and not self._orphans.waiting and not self._failure:
                self._presence.leave()
        except ArchiveUnavailableError as error:
            log.warning("The archive could not be left in order: %s", error)

    def _work(self) -> None:
        while not self._stop.is_set():
            self._nudge.wait(RETRY_SECONDS if self._failure else PROBE_SECONDS)
            if self._nudge.is_set():
                # A proof right behind the failure would mostly fail too.
                self._stop.wait(RETRY_SECONDS)
                self._nudge.clear()
            if self._stop.is_set():
                return
            try:
                self._prove()
                if not self._failure:
                    self._tidy()
            except ArchiveUnavailableError as error:
                self.report(error.reason)
            except Exception as error:
                log.exception("The archive's keeper failed.")
                self.report(reason_of(error))

    def _prove(self) -> None:
        self._proof_begun = time.monotonic()
        reports = self._reports
        try:
            self._database.open()
            self._presence.show()
            self._store.probe(self._presence.writer, max(_SMALLEST_PROBE, self._failed_bytes))
            if self._traces is None:
                self._retention.look_at_clock()
                self._look_for_orphans()
        except ArchiveSchemaError:
            raise
        except ArchiveUnavailableError as error:
            self.report(error.reason)
        except Exception as error:  # each kind of store fails with errors of its own
            self.report(reason_of(error))
        else:
            self._recover(reports)
        finally:
            self._proof_begun = None

    def _recover(self, reports: int) -> None:
        """Turn green, unless something failed during the proof: there were `reports` when it began."""
        with self._lock:
            if self._reports == reports:
                if self._failure:
                    log.info("The archive can be used.")
                self._failure = ""
                self._failed_bytes = 0

    def _look_for_orphans(self) -> None:
        """Look around the time at which each killed service was last seen."""
        traces = self._presence.others()
        if traces:
            self._orphans.look(min(trace.alive_at for trace in traces), datetime.now(UTC))
        self._traces = traces

    def _tidy(self) -> None:
        removed = self._orphans.remove()
        if removed:
            log.info("%d pictures that belonged to no inspection were removed.", removed)
        if self._traces and not self._orphans.waiting:
            for trace in self._traces:
                if self._presence.bury(trace):
                    self._store.forget(trace.writer)
            self._traces = []
        if self._retention.is_low() or time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + _RETENTION_SECONDS
            while self._retention.step() and not self._stop.is_set():
                self._prove()
