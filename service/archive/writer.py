"""One thread writes the records: those that wait at the same time share one commit."""

import logging
import threading
import time
from collections import deque
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from service.archive.candidates import candidate_of
from service.archive.database import Database
from service.archive.errors import ArchiveUnavailableError, NotRecordedError
from service.archive.records import Record
from service.archive.tables import inspections, reviews
from service.errors import ServiceError, reason_of

LARGEST_BATCH = 64

log = logging.getLogger(__name__)


class DuplicateRecordError(ServiceError):
    """A row with the same id, or the same request of the same part, is there already."""

    def __init__(self) -> None:
        super().__init__("not_recorded", "The inspection is recorded already.", "Look for it by its key.")


@dataclass(frozen=True, eq=False)
class _Waiting:
    record: Record
    future: "Future[None]" = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)

    def fail(self, error: ServiceError) -> None:
        with suppress(InvalidStateError):
            self.future.set_exception(error)


class Writer:
    """Makes records durable. Every caller gets its own success or error."""

    def __init__(self, database: Database, capacity: int, review_share: float = 0.0) -> None:
        """
        Args:
            capacity: how many records may wait; more are refused at once.
            review_share: share of the clean inspections that people are to look at.
        """
        self._database = database
        self._capacity = capacity
        self._review_share = review_share
        self._condition = threading.Condition()
        self._waiting: deque[_Waiting] = deque()
        self._closing = False
        self._written = 0
        self._thread = threading.Thread(target=self._work, name="glint-archive-writer", daemon=True)
        self._thread.start()

    def submit(self, record: Record) -> "Future[None]":
        """Queue a record; its future completes once the row is durable. Cancel it to take the record back.

        Raises:
            ArchiveUnavailableError: at once, when too many wait or the writer is closed. The future raises
                it too, or `DuplicateRecordError`, or `NotRecordedError`.
        """
        item = _Waiting(record)
        with self._condition:
            if self._closing:
                raise ArchiveUnavailableError("it is closed")
            if len(self._waiting) >= self._capacity:
                raise ArchiveUnavailableError(f"{self._capacity} records are waiting to be written")
            self._waiting.append(item)
            self._condition.notify()
        return item.future

    @property
    def waiting(self) -> int:
        """How many records wait to be written."""
        return len(self._waiting)

    @property
    def written(self) -> int:
        """How many records were written since the start."""
        return self._written

    def oldest_seconds(self) -> float:
        """For how long the oldest record has been waiting; 0 when none is."""
        with self._condition:
            return time.monotonic() - self._waiting[0].since if self._waiting else 0.0

    def close(self, timeout: float) -> None:
        """Write what waits, for at most `timeout` s, and end the thread."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join(timeout)

    def _work(self) -> None:
        while batch := self._next_batch():
            try:
                self._write(batch)
            except BaseException as error:  # whatever it was, no caller may wait for ever
                log.exception("The archive's writer failed.")
                for item in batch:
                    item.fail(ArchiveUnavailableError(reason_of(error)))

    def _next_batch(self) -> list[_Waiting]:
        """Wait for records; empty when closing and done."""
        with self._condition:
            while True:
                count = min(len(self._waiting), LARGEST_BATCH)
                taken = [self._waiting.popleft() for _ in range(count)]
                batch = [item for item in taken if item.future.set_running_or_notify_cancel()]
                if batch or (self._closing and not self._waiting):
                    return batch
                if not self._waiting:
                    self._condition.wait()

    def _write(self, batch: list[_Waiting]) -> None:
        try:
            with self._database.writing() as connection:
                connection.execute(insert(inspections), [asdict(item.record) for item in batch])
                found = [candidate_of(item.record, self._review_share) for item in batch]
                if candidates := [row for row in found if row is not None]:
                    connection.execute(insert(reviews), candidates)
        except ArchiveUnavailableError as error:
            for item in batch:
                item.fail(error)
        except Exception as error:
            self._find_the_fault(batch, error)
        else:
            self._written += len(batch)
            for item in batch:
                item.future.set_result(None)

    def _find_the_fault(self, batch: list[_Waiting], error: Exception) -> None:
        """Write the records of a refused batch alone, so that only the one at fault fails."""
        if len(batch) > 1:
            for item in batch:
                self._write([item])
        elif isinstance(error, IntegrityError):
            batch[0].fail(DuplicateRecordError())
        else:
            log.error("The database refused the inspection %s: %s", batch[0].record.id, error)
            batch[0].fail(NotRecordedError(type(error).__name__))
