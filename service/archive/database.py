"""The database: SQLite in a file, or PostgreSQL by URL."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, TimeoutError

from service.archive.errors import ArchiveUnavailableError
from service.archive.schema import BEGIN, migrate
from service.errors import SettingsError, reason_of

# How long a statement may wait for a lock, or for the server, before the archive counts as unavailable.
BUSY_SECONDS = 4.0
_SQLITE_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")


class Database:
    """Opens connections, tells faults of the database from faults of one row, and notices a lost file."""

    def __init__(self, url: str, *, seconds: float = BUSY_SECONDS) -> None:
        """Connects to nothing yet.

        Args:
            seconds: how long a statement may take on a server, or wait for a lock.

        Raises:
            SettingsError: when the URL cannot be used.
        """
        self._url = _read_url(url)
        self._file = Path(self._url.database) if self._is_sqlite and self._url.database else None
        self._identity: tuple[int, int] | None = None
        self._lock = threading.Lock()
        self.engine = _make_engine(self._url, seconds)
        # Of its own, so that nobody who reads can take the connections from those who write.
        self._reading = _make_engine(self._url, seconds)

    @property
    def folder(self) -> Path | None:
        """The folder of SQLite's file; None for a server."""
        return self._file.parent if self._file else None

    @property
    def missing(self) -> bool:
        """Whether SQLite's file is not there; connecting would make an empty one."""
        return self._file is not None and not self._file.exists()

    def describe(self) -> str:
        """The URL without its password."""
        return self._url.render_as_string(hide_password=True)

    def open(self) -> None:
        """Connect, and make or alter the tables. Does nothing while the database is in place.

        Raises:
            ArchiveSchemaError: when a newer Glint has made it.
            ArchiveUnavailableError: when it cannot be had now.
        """
        with self._lock:
            if self._identity is not None and self._in_place():
                return
            self.close()
            with faults_told():
                if self._file:
                    self._file.parent.mkdir(parents=True, exist_ok=True)
                migrate(self.engine)
                self._identity = self._identify()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is durable once the block has ended.

        Raises:
            ArchiveUnavailableError: when it is not, or may not be. What is at fault with the data itself is
                raised as it comes, for the caller to tell which row it was.
        """
        with faults_told(), self.engine.begin() as connection:
            yield connection
        # SQLite goes on writing into a file that was removed, and says nothing.
        if not self._in_place():
            raise ArchiveUnavailableError(f"the database {self.describe()} was removed or replaced")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to ask.

        Raises:
            ArchiveUnavailableError: when the database does not answer.
        """
        with faults_told(), self._reading.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        self._reading.dispose()

    @property
    def _is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    def _identify(self) -> tuple[int, int]:
        if self._file is None:
            return (0, 0)
        found = os.stat(self._file)
        return (found.st_dev, found.st_ino)

    def _in_place(self) -> bool:
        try:
            if self._identify() != self._identity:
                return False
        except OSError:
            return False
        return self._file is None or Path(f"{self._file}-wal").exists()


@contextmanager
def faults_told() -> Iterator[None]:
    """Raise what is the database's own fault as `ArchiveUnavailableError`."""
    try:
        yield
    except (IntegrityError, DataError):
        raise
    except DBAPIError as error:
        raise ArchiveUnavailableError(reason_of(error.orig or error)) from error
    except (TimeoutError, OSError) as error:
        raise ArchiveUnavailableError(reason_of(error)) from error


def _read_url(text: str) -> URL:
    remedy = "Set GLINT_DATABASE_URL to sqlite:///file.sqlite or postgresql://user:password@host/database."
    try:
        url = make_url(text)
    except ArgumentError:
        raise SettingsError("The URL of the archive's database cannot be read.", remedy) from None
    backend = url.get_backend_name()
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or url.database in (None, "", ":memory:"):
        raise SettingsError(f"The archive's database cannot be {backend} as given.", remedy)
    return url


def _make_engine(url: URL, seconds: float) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": seconds}, pool_timeout=BUSY_SECONDS)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    milliseconds = round(1e3 * seconds)
    given = {
        "connect_timeout": 3,
        "tcp_user_timeout": milliseconds,
        "options": f"-c statement_timeout={milliseconds} -c synchronous_commit=on",
    }
    try:
        return create_engine(url, connect_args=given, pool_pre_ping=True, pool_timeout=BUSY_SECONDS)
    except ImportError as error:
        raise SettingsError(
            f"PostgreSQL needs a driver that is not installed: {error}.",
            "Install it with: pip install 'glint-inspection[postgres]'",
        ) from error


def _prepare_sqlite(connection: Any, record: object) -> None:
    # The driver would begin transactions by rules of its own; `_begin_sqlite` begins them instead.
    connection.isolation_level = None
    for pragma in _SQLITE_PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(BEGIN, "BEGIN"))
