"""An inspection is recorded whole and once, or its caller is told."""

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event

from service.archive.archive import LARGEST_CROWD, Archive
from service.archive.entries import Recorded
from service.archive.errors import (
    ArchiveBusyError,
    ArchiveUnavailableError,
    IdempotencyConflictError,
    NotRecordedError,
    PictureError,
)
from service.archive.filters import Filters
from service.archive.presence import Presence
from tests.drills.evidence import files_below
from tests.service.archive.conftest import MakeEntry, StartArchive, record, wait_until


def files_in(folder: Path) -> list[Path]:
    return [path for path in files_below(folder / "photos") if "probe-" not in path.name]


def test_a_record_holds_the_answer_and_both_pictures(archive: Archive, make_entry: MakeEntry) -> None:
    entry = make_entry(serial="A17", camera="cam3")
    record(archive, entry)
    found = archive.find(entry.inspection.id)
    assert found.inspection == entry.inspection
    assert (found.part, found.serial, found.camera, found.verdict) == ("bracket", "A17", "cam3", "scratched")
    assert found.rules == "classifier,anomaly"
    assert found.image_bytes == len(entry.photo)
    assert archive.picture(found, found.photo) == entry.photo
    assert archive.picture(found, found.overlay) == entry.overlay


def test_what_was_recorded_outlives_the_process(start_archive: StartArchive, make_entry: MakeEntry) -> None:
    entry = make_entry()
    first = start_archive()
    record(first, entry)
    first.close()
    assert start_archive().find(entry.inspection.id).inspection == entry.inspection


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ("all", {"clean", "scratched", "anomalous"}),
        ("defects", {"scratched", "anomalous"}),
        ("none", set()),
        ("none,bracket=defects:1", {"clean", "scratched", "anomalous"}),
    ],
)
def test_the_policy_says_whose_photo_is_kept(
    start_archive: StartArchive, make_entry: MakeEntry, policy: str, kept: set[str]
) -> None:
    archive = start_archive(archive_photos=policy)
    for verdict in ("clean", "scratched", "anomalous"):
        entry = make_entry(verdict)
        record(archive, entry)
        found = archive.find(entry.inspection.id)
        assert found.verdict == verdict
        assert (found.photo_state == "kept") == (verdict in kept)
        if verdict not in kept:
            with pytest.raises(PictureError) as error:
                archive.picture(found, found.photo)
            assert error.value.code == "photo_not_kept"


def test_a_repeated_request_gets_the_first_answer_and_no_second_record(
    archive: Archive, make_entry: MakeEntry
) -> None:
    first = make_entry(request_key="key:1")
    record(archive, first)
    again = record(archive, make_entry(request_key="key:1"))
    assert again == Recorded(first.inspection, first.overlay, "jpeg", repeated=True)
    assert len(archive.page(Filters(), 10)[0]) == 1
    assert not record(archive, make_entry(request_key="key:1", part="nut")).repeated


def test_a_key_of_another_photo_is_a_conflict(archive: Archive, make_entry: MakeEntry) -> None:
    record(archive, make_entry("scratched", request_key="key:1"))
    with pytest.raises(IdempotencyConflictError):
        record(archive, make_entry("clean", request_key="key:1"))
    assert len(archive.page(Filters(), 10)[0]) == 1


def test_of_equal_requests_at_the_same_time_one_is_recorded(
    archive: Archive, make_entry: MakeEntry, folder: Path
) -> None:
    entries = [make_entry(request_key="key:1") for _ in range(16)]
    with ThreadPoolExecutor(16) as cameras:
        answers = list(cameras.map(lambda entry: record(archive, entry), entries))
    assert [answer.repeated for answer in answers].count(False) == 1
    assert len({answer.inspection.id for answer in answers}) == 1
    (kept,) = archive.page(Filters(), 10)[0]
    assert kept.id == answers[0].inspection.id
    # The pictures that the others had brought along go away; the keeper comes by every few seconds.
    wait_until(lambda: len(files_in(folder)) == 2, seconds=15.0)
    assert archive.picture(kept, kept.photo) == entries[0].photo


def test_records_that_wait_together_share_a_commit(archive: Archive, make_entry: MakeEntry) -> None:
    commits = []
    event.listen(archive._database.engine, "commit", lambda connection: commits.append(connection))
    entries = [make_entry() for _ in range(32)]
    with ThreadPoolExecutor(32) as cameras:
        list(cameras.map(lambda entry: record(archive, entry), entries))
    assert archive.status().written == 32
    assert len(commits) < 32


def test_a_record_the_database_refuses_fails_alone(
    archive: Archive, make_entry: MakeEntry, folder: Path
) -> None:
    there = make_entry()
    record(archive, there)
    entries = [make_entry() for _ in range(8)]
    entries[3] = replace(there, overlay=None)  # its id is taken
    other = sqlite3.connect(folder / "inspections.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # so that all but the first wait, and make one batch
    futures = [archive.submit(entries[0], time.monotonic() + 10.0)]
    wait_until(lambda: archive.status().waiting == 0 and len(files_in(folder)) == 4)
    futures += [archive.submit(entry, time.monotonic() + 10.0) for entry in entries[1:]]
    wait_until(lambda: archive.status().waiting == 7)
    other.execute("ROLLBACK")
    other.close()
    errors = [future.exception(15.0) for future in futures]
    assert [type(error) for error in errors] == [
        NotRecordedError if number == 3 else type(None) for number in range(8)
    ]
    assert archive.failure == ""


def test_an_archive_that_fails_says_so_until_it_can_be_written_to_again(
    archive: Archive, make_entry: MakeEntry, folder: Path
) -> None:
    record(archive, make_entry())
    (folder / "photos").rename(folder / "elsewhere")
    (folder / "photos").write_text("no folder")
    with pytest.raises(ArchiveUnavailableError, match="Not a directory"):
        record(archive, make_entry())
    assert archive.failure
    with pytest.raises(ArchiveUnavailableError):
        archive.check()
    (folder / "photos").unlink()
    (folder / "elsewhere").rename(folder / "photos")
    wait_until(lambda: archive.failure == "")
    record(archive, make_entry())
    assert len(archive.page(Filters(), 10)[0]) == 2


def test_status_tells_what_was_written_and_what_is_free(
    start_archive: StartArchive, make_entry: MakeEntry
) -> None:
    archive = start_archive(archive_free_bytes=1)
    record(archive, make_entry())
    status = archive.status()
    assert (status.failure, status.waiting, status.oldest_seconds, status.written) == ("", 0, 0.0, 1)
    assert status.free_bytes is not None
    assert not status.low_water
    full = start_archive(archive_free_bytes=2**60)
    assert full.status().low_water


def test_readers_take_no_connection_from_those_who_record(archive: Archive, make_entry: MakeEntry) -> None:
    with ExitStack() as readers:
        for _ in range(15):
            readers.enter_context(archive._database.reading())
        record(archive, make_entry(), seconds=2.0)
    assert archive.failure == ""


def test_only_a_few_ask_the_archive_at_a_time(archive: Archive, make_entry: MakeEntry) -> None:
    entry = make_entry()
    record(archive, entry)
    questions = (
        lambda: archive.page(Filters(), 10),
        lambda: archive.find(entry.inspection.id),
        lambda: archive.picture(found, found.photo),
    )
    found = archive.find(entry.inspection.id)
    with ExitStack() as crowd:
        for _ in range(LARGEST_CROWD):
            crowd.enter_context(archive._turn())
        with ThreadPoolExecutor(3) as callers:
            errors = [callers.submit(question).exception() for question in questions]
    assert [type(error) for error in errors] == [ArchiveBusyError] * 3
    assert archive.failure == ""
    for question in questions:
        question()


def test_a_failure_during_a_proof_outlives_it(
    archive: Archive, make_entry: MakeEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = archive._store.probe

    def fail_meanwhile(writer: str, size: int) -> None:
        probe(writer, size)
        archive._keeper.report("the disk is full", 1_000_000)

    with monkeypatch.context() as patched:
        patched.setattr(archive._store, "probe", fail_meanwhile)
        archive._keeper._prove()
        assert archive.failure == "the disk is full"
    wait_until(lambda: archive.failure == "")


def test_a_store_that_hangs_does_not_hold_up_the_end(
    start_archive: StartArchive, make_entry: MakeEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = start_archive()
    healed = threading.Event()
    monkeypatch.setattr(archive._store, "write", lambda path, data: healed.wait(30.0))
    future = archive.submit(make_entry(), time.monotonic() + 30.0)
    wait_until(future.running)
    begun = time.monotonic()
    archive.close(timeout=0.3)
    took = time.monotonic() - begun
    healed.set()
    assert took < 2.0
    with pytest.raises(ArchiveUnavailableError, match="closed"):
        future.result(5.0)
    # It left its row, so that the next start looks for what it may have left in the store.
    assert len(Presence(start_archive()._database, "").others()) == 2
