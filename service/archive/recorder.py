"""Records an inspection: its pictures first, then its row; and finds what a repeated request was answered."""

import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import UTC, datetime

from models.formats import OVERLAY_MEDIA_TYPES
from service.archive.database import Database
from service.archive.entries import Entry, Recorded
from service.archive.errors import ArchiveUnavailableError, IdempotencyConflictError, NotRecordedError
from service.archive.keeper import Keeper
from service.archive.orphans import Orphans
from service.archive.policy import PhotoPolicy
from service.archive.queries import find_request
from service.archive.records import Record, record_of
from service.archive.store import SUFFIXES, PhotoStore, path_of
from service.archive.writer import DuplicateRecordError, Writer
from service.errors import reason_of

# The caller must hear of a failure before it stops listening.
_SECONDS_TO_ANSWER = 0.05


class Recorder:
    """Puts inspections into the archive, each in the caller's thread. Safe to call from several."""

    def __init__(
        self,
        database: Database,
        store: PhotoStore,
        policy: PhotoPolicy,
        orphans: Orphans,
        keeper: Keeper,
        *,
        capacity: int,
    ) -> None:
        """`capacity`: how many inspections may be on their way at a time."""
        self._database = database
        self._store = store
        self._policy = policy
        self._orphans = orphans
        self._keeper = keeper
        self.writer = Writer(database, capacity, policy.review_share)

    def record(self, entry: Entry, deadline: float) -> Recorded:
        """See `Archive.submit`."""
        if self._keeper.failure:
            raise ArchiveUnavailableError(self._keeper.failure)
        inspection = entry.inspection
        record = record_of(
            inspection, time=datetime.now(UTC), size=len(entry.photo), request_key=entry.request_key
        )
        if self._policy.keeps(inspection):
            record = self._keep_pictures(record, entry)
        try:
            self._write_row(record, deadline)
        except DuplicateRecordError:
            return self._earlier(record)
        return Recorded(inspection, entry.overlay, entry.overlay_format, repeated=False)

    def _keep_pictures(self, record: Record, entry: Entry) -> Record:
        """Put the pictures into the store first, so that no row ever names one that is not there."""
        photo = path_of(record.id, record.time, SUFFIXES[record.image_media_type])
        overlay = None
        try:
            self._store.write(photo, entry.photo)
            if entry.overlay is not None and entry.overlay_format is not None:
                suffix = f".overlay{SUFFIXES[OVERLAY_MEDIA_TYPES[entry.overlay_format]]}"
                overlay = path_of(record.id, record.time, suffix)
                self._store.write(overlay, entry.overlay)
        except Exception as error:  # each kind of store fails with errors of its own
            self._doubt(record.with_pictures(photo, overlay))
            reason = reason_of(error)
            self._keeper.report(reason, len(entry.photo) + len(entry.overlay or b""))
            raise ArchiveUnavailableError(reason) from error
        return record.with_pictures(photo, overlay)

    def _write_row(self, record: Record, deadline: float) -> None:
        written: Future[None] | None = None
        try:
            written = self.writer.submit(record)
            written.result(max(0.0, deadline - _SECONDS_TO_ANSWER - time.monotonic()))
        except FutureTimeoutError:
            if written is not None:
                written.cancel()
            self._doubt(record, written)
            raise ArchiveUnavailableError("the record could not be written before the deadline") from None
        except ArchiveUnavailableError as error:
            # It may have been written all the same, if the fault came between its commit and the news of it.
            self._doubt(record, written)
            self._keeper.report(error.reason)
            raise
        except (DuplicateRecordError, NotRecordedError):
            self._doubt(record, written)
            raise

    def _doubt(self, record: Record, pending: "Future[None] | None" = None) -> None:
        for path in (record.photo, record.overlay):
            if path is not None:
                self._orphans.doubt(record.id, path, pending)

    def _earlier(self, record: Record) -> Recorded:
        """What the same request was answered when it came first."""
        found = None
        if record.request_key is not None:
            found = self.find_repeated(record.part, record.request_key, record.image_sha256)
        if found is None:
            raise NotRecordedError(f"an inspection with the id {record.id} is there already")
        return found

    def find_repeated(self, part: str, request_key: str, sha256: str) -> Recorded | None:
        """See `Archive.submit_search`."""
        with self._database.reading() as connection:
            record = find_request(connection, part, request_key)
        if record is None:
            return None
        if record.image_sha256 != sha256:
            raise IdempotencyConflictError(request_key.partition(":")[2])
        overlay = self._overlay_of(record)
        form = None if overlay is None else record.overlay_format
        return Recorded(record.inspection, overlay, form, repeated=True)

    def _overlay_of(self, record: Record) -> bytes | None:
        if record.photo_state != "kept" or record.overlay is None:
            return None
        try:
            return self._store.read(record.overlay)
        except FileNotFoundError:
            return None
        except Exception as error:  # each kind of store fails with errors of its own
            raise ArchiveUnavailableError(reason_of(error)) from error
