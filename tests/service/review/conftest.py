"""An archive with inspections in it, and the desk at which they are judged."""

from collections.abc import Callable

import pytest

from service.archive.archive import Archive
from service.review.desk import Desk
from service.review.judgements import Decision, Opinion
from tests.service.archive.conftest import MakeEntry, record
from tests.service.archive.conftest import archive as archive
from tests.service.archive.conftest import folder as folder
from tests.service.archive.conftest import make_entry as make_entry
from tests.service.archive.conftest import start_archive as start_archive

Record = Callable[..., str]


@pytest.fixture
def desk(archive: Archive) -> Desk:
    """The desk of `archive`."""
    return Desk(archive.holdings)


@pytest.fixture
def inspect(archive: Archive, make_entry: MakeEntry) -> Record:
    """Record an inspection that shows `kind`, and give its id."""

    def inspect_one(kind: str = "scratched", **changes: object) -> str:
        entry = make_entry(kind, **changes)
        record(archive, entry)
        return entry.inspection.id

    return inspect_one


def says(decision: Decision, operator: str = "Anna", **more: object) -> Opinion:
    """An opinion."""
    return Opinion(decision=decision, operator=operator, **more)
