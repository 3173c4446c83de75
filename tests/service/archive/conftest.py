"""A running archive in a folder of its own, and inspections to put into it."""

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models.answer import Inspection
from models.inspector import Inspector
from models.overlay import encode_picture
from service.archive.archive import Archive
from service.archive.entries import Entry, Recorded
from service.settings import Settings
from tests.tiny_bundle import anomalous_photo, clean_photo, encode, scratched_photo

StartArchive = Callable[..., Archive]
MakeEntry = Callable[..., Entry]
PAINTS = {"clean": clean_photo, "scratched": scratched_photo, "anomalous": anomalous_photo}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The archive's folder."""
    return tmp_path / "archive"


@pytest.fixture
def start_archive(folder: Path) -> Iterator[StartArchive]:
    """Start an archive with the given settings."""
    running: list[Archive] = []

    def start(**settings: object) -> Archive:
        given = {
            "archive": str(folder),
            "archive_free_bytes": 0,
            "archive_orphan_seconds": 0.2,
            # Else one in a hundred clean photos would be in the sample that people review.
            "review_sample": 0,
            # What is recorded here has deadlines of its own.
            "deadline_ms": 100,
            "max_deadline_ms": 100,
            **settings,
        }
        archive = Archive(Settings.of(**given))
        archive.start()
        running.append(archive)
        return archive

    yield start
    for archive in running:
        archive.close()


@pytest.fixture
def archive(start_archive: StartArchive) -> Archive:
    """An archive with the default settings."""
    return start_archive()


@pytest.fixture(scope="session")
def make_entry(tiny_bundle: Path) -> MakeEntry:
    """Make what the service would record of a photo that shows `verdict`."""
    inspector = Inspector.load(tiny_bundle, "cpu", threads=1)
    done = {}
    for verdict, paint in PAINTS.items():
        data = encode(paint(), ".jpg")
        inspection, prepared, outputs = inspector.inspect(data)
        assert inspection.verdict == verdict
        done[verdict] = (inspection, data, encode_picture(inspector.overlay(prepared, outputs)))

    def make(kind: str = "scratched", request_key: str | None = None, **changes: object) -> Entry:
        inspection, data, overlay = done[kind]
        changed = inspection.model_copy(update={"id": uuid.uuid4().hex, "needs_review": False, **changes})
        return Entry(Inspection.model_validate(changed), data, overlay, "jpeg", request_key)

    return make


def record(archive: Archive, entry: Entry, seconds: float = 10.0) -> Recorded:
    """Record and wait."""
    return archive.submit(entry, time.monotonic() + seconds).result(seconds + 5.0)


def wait_until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something holds; fail if it does not in time."""
    last = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < last, "it did not come to hold in time"
        time.sleep(0.02)
