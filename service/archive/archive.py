"""The archive: inspections are recorded before they are answered, and found again."""

import logging
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from models.answer import Inspection
from service.archive.database import Database
from service.archive.entries import Entry, Recorded
from service.archive.errors import (
    ArchiveBusyError,
    ArchiveUnavailableError,
    PictureError,
    UnknownInspectionError,
)
from service.archive.filters import Cursor, Filters
from service.archive.holdings import Holdings
from service.archive.keeper import Keeper
from service.archive.orphans import Orphans
from service.archive.policy import is_clean, read_policy
from service.archive.presence import Presence
from service.archive.queries import find, neighbours, page
from service.archive.recorder import Recorder
from service.archive.records import Record
from service.archive.retention import Retention
from service.archive.status import ArchiveStatus
from service.archive.store import open_store
from service.archive.withdrawal import withdraw
from service.settings import Settings

# Questions that are answered at the same time, and how long the next one waits for its turn.
LARGEST_CROWD = 4
_SECONDS_FOR_A_TURN = 1.0

log = logging.getLogger(__name__)


class Archive:
    """Records and finds inspections. Safe to call from several threads."""

    def __init__(self, settings: Settings) -> None:
        """Reads the settings and touches nothing yet.

        Raises:
            SettingsError: when one cannot be used.
        """
        self._policy = read_policy(settings.archive_photos, settings.review_sample)
        self._by_photo = settings.idempotent_photos
        self._database = Database(database_url(settings))
        self._store = open_store(photo_store_url(settings))
        self._orphans = Orphans(self._database, self._store, settings.archive_orphan_seconds)
        self._retention = Retention(
            self._database,
            self._store,
            days=settings.retention_days,
            remove_rows=settings.retention_rows == "remove",
            free_bytes=settings.archive_free_bytes,
            keep_judged=settings.retention_judged == "until_exported",
        )
        presence = Presence(self._database, uuid.uuid4().hex)
        self._keeper = Keeper(self._database, self._store, presence, self._orphans, self._retention)
        self._recorder = Recorder(
            self._database,
            self._store,
            self._policy,
            self._orphans,
            self._keeper,
            capacity=settings.queue_size,
        )
        self._turns = threading.BoundedSemaphore(LARGEST_CROWD)
        self._pool = ThreadPoolExecutor(settings.queue_size, thread_name_prefix="glint-archive")
        self._started = False

    def start(self) -> None:
        """Open the archive, or go on trying to in the background. Does nothing the second time.

        Raises:
            ArchiveSchemaError: when a newer Glint has made the database.
        """
        if not self._started:
            self._keeper.start()
            self._started = True
            log.info("Inspections are recorded in %s", self._database.describe())

    def close(self, timeout: float = 5.0) -> None:
        """Finish what is being recorded, for about `timeout` s, and let go of everything.

        A store that hangs keeps its threads; only the end of the process ends them.
        """
        last = time.monotonic() + timeout
        ending = threading.Thread(
            target=self._pool.shutdown, kwargs={"cancel_futures": True}, name="glint-archive-end", daemon=True
        )
        ending.start()
        ending.join(timeout)
        self._recorder.writer.close(max(0.0, last - time.monotonic()))
        if self._started:
            self._keeper.close(max(0.0, last - time.monotonic()), in_order=not ending.is_alive())
        self._database.close()

    @property
    def started(self) -> bool:
        """Whether it was started; before that, its database may have no tables."""
        return self._started

    @property
    def failure(self) -> str:
        """Why nothing can be recorded now; empty when all is well."""
        return self._keeper.failure

    def check(self) -> None:
        """Refuse early what could not be recorded.

        Raises:
            ArchiveUnavailableError: while nothing can be recorded.
        """
        if self.failure:
            raise ArchiveUnavailableError(self.failure)

    def status(self) -> ArchiveStatus:
        """How the archive is. Asks the disk for its free space and nothing else."""
        return ArchiveStatus(
            failure=self.failure,
            waiting=self._recorder.writer.waiting,
            oldest_seconds=self._recorder.writer.oldest_seconds(),
            written=self._recorder.writer.written,
            free_bytes=self._retention.free_bytes(),
            low_water=self._retention.is_low(),
            removed=self._retention.removed,
        )

    @property
    def holdings(self) -> Holdings:
        """The parts of the archive, for those who work on it beside the recording."""
        return Holdings(self._database, self._store, self._orphans, self._policy.samples, self._turn)

    def wants_overlay(self, inspection: Inspection) -> bool:
        """Whether an overlay is kept even if the camera did not ask for one."""
        return not is_clean(inspection) and self._policy.keeps(inspection)

    def knows_request(self, given: str | None) -> bool:
        """Whether a request with this key, or with none, is known when it comes again."""
        return given is not None or self._by_photo

    def request_key(self, given: str | None, serial: str | None, sha256: str) -> str:
        """What such a request is known by: the key that came with it, or else its photo."""
        return f"key:{given}" if given is not None else f"photo:{sha256}:{serial or ''}"

    def submit(self, entry: Entry, deadline: float) -> "Future[Recorded]":
        """Record an inspection; `deadline` is a time of `time.monotonic`.

        The future completes once the photo and then the row are durable. A request that was recorded before
        gives what it was answered then. The future raises `ArchiveUnavailableError`, `NotRecordedError` and
        `IdempotencyConflictError`.
        """
        return self._pool.submit(self._recorder.record, entry, deadline)

    def submit_search(self, part: str, request_key: str, sha256: str) -> "Future[Recorded | None]":
        """Look for an earlier request; the future raises as that of `submit` does."""
        return self._pool.submit(self._recorder.find_repeated, part, request_key, sha256)

    def submit_withdrawal(self, inspection: Inspection, reason: str) -> "Future[None]":
        """Take a recorded verdict back; the future raises `ArchiveUnavailableError` if that failed."""
        return self._pool.submit(withdraw, self._database, inspection, reason)

    def page(
        self, filters: Filters, limit: int, after: Cursor | None = None
    ) -> tuple[list[Record], Cursor | None]:
        """See `queries.page`.

        Raises:
            ArchiveBusyError: when too many ask.
            ArchiveUnavailableError: when the database does not answer.
        """
        with self.holdings.reading() as connection:
            return page(connection, filters, limit, after)

    def find(self, inspection_id: str) -> Record:
        """The inspection with this id.

        Raises:
            UnknownInspectionError: when there is none.
            ArchiveBusyError: when too many ask.
            ArchiveUnavailableError: when the database does not answer.
        """
        with self.holdings.reading() as connection:
            record = find(connection, inspection_id)
        if record is None:
            raise UnknownInspectionError(inspection_id)
        return record

    def neighbours(self, record: Record, each: int) -> tuple[list[Record], list[Record]]:
        """The inspections just before and just after this one by the same camera, or else of the same part.

        Raises:
            ArchiveBusyError: when too many ask.
            ArchiveUnavailableError: when the database does not answer.
        """
        alike = Filters(camera=record.camera) if record.camera is not None else Filters(part=record.part)
        with self.holdings.reading() as connection:
            return neighbours(connection, record, alike, each)

    def picture(self, record: Record, path: str | None) -> bytes:
        """A photo or overlay of a record: `path` is its field `photo` or `overlay`.

        Raises:
            PictureError: saying why there is none.
            ArchiveBusyError: when too many ask.
            ArchiveUnavailableError: when the store does not answer.
        """
        if record.photo_state == "not_kept":
            raise PictureError(
                "photo_not_kept", "The policy kept no photo of this inspection.", "See GLINT_ARCHIVE_PHOTOS."
            )
        if record.photo_state in ("removing", "removed"):
            raise PictureError(
                "photo_removed",
                "Retention has removed the photo.",
                "See GLINT_RETENTION_DAYS and the free space.",
            )
        if path is None:
            raise PictureError(
                "no_overlay", "No overlay was drawn of this inspection.", "Ask for its image instead."
            )
        try:
            return self.holdings.picture(path)
        except FileNotFoundError:
            raise PictureError(
                "photo_missing",
                f"The store has no {path}, although nothing removed it.",
                "Somebody else removed it, or GLINT_PHOTO_STORE names another store than at the time.",
            ) from None

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=_SECONDS_FOR_A_TURN):
            raise ArchiveBusyError
        try:
            yield
        finally:
            self._turns.release()


def database_url(settings: Settings) -> str:
    """The database's URL: as set, or a file in the archive's folder."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return f"sqlite:///{Path(settings.archive) / 'inspections.sqlite'}"


def photo_store_url(settings: Settings) -> str:
    """Where photos lie: as set, or a folder in the archive's folder."""
    return settings.photo_store or str(Path(settings.archive) / "photos")
