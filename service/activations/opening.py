"""Where activations are written down: in the archive, else in the state folder, else in memory."""

from typing import TYPE_CHECKING

from service.activations.book import Book, InMemory
from service.activations.file import InFile
from service.settings import Settings

if TYPE_CHECKING:
    from service.archive.archive import Archive


def open_book(settings: Settings, archive: "Archive | None") -> Book:
    """The book that the settings describe; nothing is read or written yet."""
    if archive is not None:
        # It brings the database's library.
        from service.archive.activations import InDatabase

        return Book(InDatabase(archive))
    return Book(InFile(settings.state) if settings.state else InMemory())
