"""What an archive is made of, for those who work on it beside the recording."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection

from service.archive.database import Database
from service.archive.errors import ArchiveUnavailableError
from service.archive.orphans import Orphans
from service.archive.store import PhotoStore
from service.errors import reason_of


@dataclass(frozen=True)
class Holdings:
    """The archive's parts.

    Attributes:
        samples: whether clean photos of a part can be in the sample that people review.
        turn: waits for a turn among those who ask, and raises `ArchiveBusyError` when it takes too long.
    """

    database: Database
    store: PhotoStore
    orphans: Orphans
    samples: Callable[[str], bool]
    turn: Callable[[], AbstractContextManager[None]]

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A turn, and a connection to ask.

        Raises:
            ArchiveBusyError: when too many ask.
            ArchiveUnavailableError: when the database does not answer.
        """
        with self.turn(), self.database.reading() as connection:
            yield connection

    def picture(self, path: str) -> bytes:
        """A file of the store, read when it is one's turn.

        Raises:
            FileNotFoundError: when it is not there.
            ArchiveBusyError: when too many ask.
            ArchiveUnavailableError: when the store does not answer.
        """
        with self.turn():
            try:
                return self.store.read(path)
            except FileNotFoundError:
                raise
            except Exception as error:  # each kind of store fails with errors of its own
                raise ArchiveUnavailableError(reason_of(error)) from error
