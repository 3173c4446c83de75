"""Removes photos by age and for space, clean ones first; their rows stay, or go later, as set.

A photo that a person has judged stays until it went into a data set, unless that is not wanted; its record
and its judgements always stay.
"""

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.exc import IntegrityError

from models.decision import CLEAN
from service.archive.candidates import GONE, JUDGED, SAMPLE, WAITING
from service.archive.database import Database
from service.archive.queries import masks_of
from service.archive.store import PhotoStore, free_bytes_at
from service.archive.tables import inspections, judgements, reviews

BATCH = 200
# The alarm is raised while there is still this many times the space at which photos are removed.
ALARM_FACTOR = 2
_LARGEST_DRIFT_SECONDS = 3600.0
# A line that stood still for longer is less likely than a clock that was wrong at start.
_LONGEST_PAUSE = timedelta(days=30)

log = logging.getLogger(__name__)
_COLUMN = inspections.c
_REVIEW = reviews.c
_CLEAN: ColumnElement[bool] = and_(_COLUMN.verdict == CLEAN, not_(_COLUMN.needs_review))


def _reviewed(*which: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(_REVIEW.inspection_id == _COLUMN.id, *which)


# To remove a part of the sample would leave the share of escapes to be told from the rest.
_SAMPLED = _reviewed(_REVIEW.state == WAITING, _REVIEW.reason == SAMPLE)
_UNEXPORTED = _reviewed(
    _REVIEW.state == JUDGED,
    _REVIEW.label.is_not(None),
    or_(_REVIEW.exported.is_(None), _REVIEW.exported != _REVIEW.judgement_id),
)
_JUDGED = exists().where(judgements.c.inspection_id == _COLUMN.id)


class Retention:
    """Keeps the archive within its age and its space, a few photos a step.

    A photo goes in three steps, so that no row ever names one that is not there: its row says that it is
    being removed, the files go, the row says that it is gone. A step that was cut short is taken up again.
    """

    def __init__(
        self,
        database: Database,
        store: PhotoStore,
        *,
        days: float | None,
        remove_rows: bool,
        free_bytes: int,
        keep_judged: bool = True,
    ) -> None:
        """
        Args:
            days: age at which photos go; None keeps them while there is space.
            remove_rows: whether the rows go with them.
            free_bytes: space that is kept free.
            keep_judged: whether what was judged stays until it is exported, even if space runs out.
        """
        self._database = database
        self._store = store
        self._days = days
        self._remove_rows = remove_rows
        self._free_bytes = free_bytes
        self._free_to_go = not_(_UNEXPORTED) if keep_judged else true()
        self._offset = time.time() - time.monotonic()
        self._pause = timedelta(0)
        self._low = False
        self._told = False
        self.removed = 0

    def free_bytes(self) -> int | None:
        """The smaller of the free spaces of photos and database; None if neither can be told."""
        folder = self._database.folder
        both = [self._store.free_bytes(), free_bytes_at(folder) if folder else None]
        return min((space for space in both if space is not None), default=None)

    def is_low(self) -> bool:
        """Whether space is running out; says so in the log once."""
        free = self.free_bytes()
        low = free is not None and free < ALARM_FACTOR * self._free_bytes
        if low and not self._low:
            log.warning("The archive runs out of space: %s bytes are free.", f"{free:,}")
        self._low = low
        return low

    def look_at_clock(self) -> None:
        """Compare the clock with the newest record. Call it before anything is recorded by this clock.

        Raises:
            ArchiveUnavailableError: when the database does not answer.
        """
        with self._database.reading() as connection:
            newest = connection.scalar(select(_COLUMN.time).order_by(_COLUMN.time.desc()).limit(1))
        self._pause = datetime.now(UTC) - newest if newest is not None else timedelta(0)

    def step(self) -> bool:
        """Remove a few photos if any must go; whether there may be more to do."""
        if self._finish():
            return True
        if self._days is not None and self._clock_holds():
            oldest = datetime.now(UTC) - timedelta(days=self._days)
            if self._mark(_COLUMN.time < oldest):
                return self._finish()
            if self._remove_rows and self._delete_rows(oldest):
                return True
        # Removing photos frees no space on the database's disk, if that is another one.
        free = self._store.free_bytes()
        if free is None or free >= self._free_bytes:
            self._told = False
            return False
        if self._mark(and_(_CLEAN, not_(_SAMPLED))) or self._mark(true()):
            return self._finish()
        self._tell_what_stays()
        return False

    def _tell_what_stays(self) -> None:
        """Say once how many photos cannot be removed although there is no space."""
        if self._told:
            return
        staying = select(func.count()).select_from(inspections).where(_COLUMN.photo_state == "kept")
        with self._database.reading() as connection:
            count = connection.execute(staying).scalar_one()
        if count:
            log.warning(
                "There is no space, and %d photos stay because they were judged and not exported: run "
                "`glint dataset from-archive`, or set GLINT_RETENTION_JUDGED=as_others, which also releases "
                "what no data set takes: disputed judgements and damaged photos.",
                count,
            )
        self._told = True

    def _clock_holds(self) -> bool:
        """False once the clock is in doubt: by a wrong clock every photo would be old."""
        if self._pause > _LONGEST_PAUSE:
            log.warning(
                "At start, the newest record was %d days old: nothing is removed by age. "
                "Restart the service once the clock is right and a new inspection is recorded.",
                self._pause.days,
            )
            return False
        drift = abs(time.time() - time.monotonic() - self._offset)
        if drift > _LARGEST_DRIFT_SECONDS:
            log.warning("The clock was set by %.0f s: nothing is removed by age until a restart.", drift)
        return drift <= _LARGEST_DRIFT_SECONDS

    def _mark(self, which: ColumnElement[bool]) -> bool:
        """Mark the oldest photos of these; whether there were any."""
        oldest = (
            select(_COLUMN.id)
            .where(_COLUMN.photo_state == "kept", which, self._free_to_go)
            .order_by(_COLUMN.time)
            .limit(BATCH)
        )
        with self._database.reading() as connection:
            ids = connection.scalars(oldest).all()
        if ids:
            # Asked again, since one of them may have been judged a moment ago.
            going = and_(_COLUMN.id.in_(ids), self._free_to_go)
            unseen = and_(_REVIEW.inspection_id.in_(ids), _REVIEW.state == WAITING)
            with self._database.writing() as connection:
                _wait_for_judgements(connection, ids)
                connection.execute(update(inspections).where(going).values(photo_state="removing"))
                connection.execute(update(reviews).where(unseen).values(state=GONE))
        return bool(ids)

    def _finish(self) -> bool:
        """Remove the files of what is marked; whether anything was."""
        marked = select(_COLUMN.id, _COLUMN.photo, _COLUMN.overlay).where(_COLUMN.photo_state == "removing")
        with self._database.reading() as connection:
            rows = connection.execute(marked.limit(BATCH)).all()
            masks = masks_of(connection, [row.id for row in rows])
        for path in [path for row in rows for path in (row.photo, row.overlay)] + [path for _, path in masks]:
            if path is not None:
                self._store.delete(path)
        if rows:
            self._forget([row.id for row in rows])
            self.removed += len(rows)
            log.info("Retention removed %d photos.", len(rows))
        return bool(rows)

    def _forget(self, ids: Sequence[str]) -> None:
        gone = {"photo_state": "removed", "photo": None, "overlay": None}
        with self._database.writing() as connection:
            connection.execute(update(inspections).where(_COLUMN.id.in_(ids)).values(gone))

    def _delete_rows(self, oldest: datetime) -> bool:
        bare = or_(_COLUMN.photo_state == "removed", _COLUMN.photo_state == "not_kept")
        with self._database.reading() as connection:
            old = select(_COLUMN.id).where(_COLUMN.time < oldest, bare, not_(_JUDGED))
            ids = connection.scalars(old.limit(BATCH)).all()
        if not ids:
            return False
        try:
            with self._database.writing() as connection:
                connection.execute(delete(inspections).where(_COLUMN.id.in_(ids), not_(_JUDGED)))
        except IntegrityError:
            # One of them was judged meanwhile. It is passed over the next time.
            log.info("Old records stay for now: one of them has just been judged.")
            return False
        return True


def _wait_for_judgements(connection: Connection, ids: Sequence[str]) -> None:
    """Wait for the judgements of these that are being recorded: whatever is asked next sees them."""
    # SQLite has one writer at a time; to read first would only let another one come between.
    if connection.dialect.name == "postgresql":
        rows = select(_REVIEW.inspection_id).where(_REVIEW.inspection_id.in_(ids))
        connection.execute(rows.order_by(_REVIEW.inspection_id).with_for_update())
