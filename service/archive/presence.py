"""Which services write into the archive, and which of them were killed."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, insert, select, update

from service.archive.database import Database
from service.archive.tables import writers


@dataclass(frozen=True)
class Trace:
    """Another service's last sign of life."""

    writer: str
    alive_at: datetime


class Presence:
    """This service's row among the writers. It is also the write that proves that the database works."""

    def __init__(self, database: Database, writer: str) -> None:
        self._database = database
        self.writer = writer

    def show(self) -> None:
        """Say that this service is alive.

        Raises:
            ArchiveUnavailableError: when that could not be written.
        """
        now = datetime.now(UTC)
        with self._database.writing() as connection:
            mine = writers.c.id == self.writer
            if connection.execute(update(writers).where(mine).values(alive_at=now)).rowcount == 0:
                connection.execute(insert(writers).values(id=self.writer, alive_at=now))

    def others(self) -> list[Trace]:
        """The other services that are alive, or were killed."""
        with self._database.reading() as connection:
            rows = connection.execute(select(writers).where(writers.c.id != self.writer)).all()
        return [Trace(row.id, row.alive_at) for row in rows]

    def bury(self, trace: Trace) -> bool:
        """Remove a service that has not been seen since; whether it was."""
        which = (writers.c.id == trace.writer) & (writers.c.alive_at == trace.alive_at)
        with self._database.writing() as connection:
            return bool(connection.execute(delete(writers).where(which)).rowcount)

    def leave(self) -> None:
        """End as one should: nothing was left behind."""
        with self._database.writing() as connection:
            connection.execute(delete(writers).where(writers.c.id == self.writer))
