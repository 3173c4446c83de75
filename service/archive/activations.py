"""The book of activations in the archive's database, whose triggers refuse to change or remove a row."""

from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from service.activations.entries import Activation, Actor
from service.archive.errors import ArchiveUnavailableError
from service.archive.tables import activations

if TYPE_CHECKING:
    from service.archive.archive import Archive


class InDatabase:
    """A shelf in the table `activations`.

    Both methods raise `ArchiveUnavailableError` while the archive cannot be used.
    """

    def __init__(self, archive: "Archive") -> None:
        self._archive = archive

    def add(self, activation: Activation) -> None:
        """Keep one more."""
        self._check()
        row = {
            "time": activation.time,
            "part": activation.part,
            "version": activation.version,
            "previous": activation.previous,
            "by_name": activation.by.name,
            "key_id": activation.by.key_id,
        }
        with self._archive.holdings.database.writing() as connection:
            connection.execute(insert(activations).values(row))

    def newest(self, part: str, limit: int) -> list[Activation]:
        """The last ones of a part, the newest first."""
        self._check()
        column = activations.c
        wanted = select(activations).where(column.part == part).order_by(column.number.desc()).limit(limit)
        with self._archive.holdings.database.reading() as connection:
            rows = connection.execute(wanted).all()
        return [
            Activation(row.part, row.version, row.previous, Actor(row.by_name, row.key_id), row.time)
            for row in rows
        ]

    def _check(self) -> None:
        # On a GPU, bundles are loaded before the archive is opened.
        if not self._archive.started:
            raise ArchiveUnavailableError("it is not open yet")
        self._archive.check()
