"""What an archive is made of, for those who work on it beside the recording."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from service.archive.database import Database
from service.archive.orphans import Orphans
from service.archive.store import PhotoStore


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
