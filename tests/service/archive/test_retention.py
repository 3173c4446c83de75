"""Photos go by age and for space, the clean ones first; what nobody names goes at the next start."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text, update

from service.archive import retention
from service.archive.archive import Archive
from service.archive.errors import PictureError, UnknownInspectionError
from service.archive.filters import Filters
from service.archive.presence import Presence
from service.archive.tables import inspections, writers
from service.review.desk import Desk
from service.review.items import Wish
from service.review.judgements import Opinion
from service.review.selection import mark_exported
from tests.drills.evidence import files_below
from tests.service.archive.conftest import MakeEntry, StartArchive, record, wait_until
from tests.service.review.drawings import drawing


def make_older(archive: Archive, inspection_id: str, days: float) -> None:
    with archive._database.writing() as connection:
        older = datetime.now(UTC) - timedelta(days=days)
        connection.execute(update(inspections).where(inspections.c.id == inspection_id).values(time=older))


def tidy(archive: Archive) -> None:
    while archive._retention.step():
        pass


def states(archive: Archive) -> dict[str, str]:
    return {record.id: record.photo_state for record in archive.page(Filters(), 100)[0]}


def test_old_photos_go_and_their_records_stay(start_archive: StartArchive, make_entry: MakeEntry) -> None:
    archive = start_archive(retention_days=30)
    old, young = make_entry(), make_entry()
    record(archive, old)
    record(archive, young)
    make_older(archive, old.inspection.id, 31)
    tidy(archive)
    assert states(archive) == {old.inspection.id: "removed", young.inspection.id: "kept"}
    with pytest.raises(PictureError) as error:
        archive.picture(archive.find(old.inspection.id), None)
    assert error.value.code == "photo_removed"
    kept = archive.find(young.inspection.id)
    assert archive.picture(kept, kept.photo) == young.photo


def test_old_records_go_too_if_so_set(
    start_archive: StartArchive, make_entry: MakeEntry, folder: Path
) -> None:
    archive = start_archive(retention_days=30, retention_rows="remove")
    entry = make_entry()
    record(archive, entry)
    make_older(archive, entry.inspection.id, 31)
    tidy(archive)
    with pytest.raises(UnknownInspectionError):
        archive.find(entry.inspection.id)
    assert [path for path in files_below(folder / "photos") if entry.inspection.id in path.name] == []


def test_a_record_that_is_judged_while_it_is_removed_stays_and_nothing_ends(
    start_archive: StartArchive, make_entry: MakeEntry
) -> None:
    archive = start_archive(retention_days=30, retention_rows="remove")
    entry = make_entry()
    record(archive, entry)
    make_older(archive, entry.inspection.id, 31)
    refuse = "CREATE TRIGGER judged BEFORE DELETE ON inspections BEGIN SELECT RAISE(ABORT, 'judged'); END"
    with archive._database.writing() as connection:
        connection.execute(text(refuse))
    tidy(archive)
    assert states(archive) == {entry.inspection.id: "removed"}
    with archive._database.writing() as connection:
        connection.execute(text("DROP TRIGGER judged"))
    tidy(archive)
    assert states(archive) == {}


def test_for_space_clean_photos_go_first_and_the_oldest_of_them(
    start_archive: StartArchive, make_entry: MakeEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    archive = start_archive()
    entries = [make_entry(kind) for kind in ("scratched", "clean", "clean", "clean", "anomalous")]
    for days, entry in zip((9, 8, 7, 6, 5), entries, strict=True):
        record(archive, entry)
        make_older(archive, entry.inspection.id, days)
    archive._retention._free_bytes = 2**60  # no disk is so large
    ids = [entry.inspection.id for entry in entries]
    seen = []
    while archive._retention.step():
        left = [number for number, id in enumerate(ids) if states(archive)[id] == "kept"]
        if not seen or seen[-1] != left:
            seen.append(left)
    assert seen == [[0, 3, 4], [0, 4], []]


def test_a_clock_that_jumped_makes_nothing_old(
    start_archive: StartArchive, make_entry: MakeEntry, caplog: pytest.LogCaptureFixture
) -> None:
    archive = start_archive(retention_days=30)
    entry = make_entry()
    record(archive, entry)
    make_older(archive, entry.inspection.id, 31)
    archive._retention._offset -= 90_000  # as if the clock had been set a day ahead since the start
    tidy(archive)
    assert states(archive) == {entry.inspection.id: "kept"}
    assert "clock was set" in caplog.text


def test_a_removal_that_was_cut_short_is_finished(
    archive: Archive, make_entry: MakeEntry, folder: Path
) -> None:
    entry = make_entry()
    record(archive, entry)
    with archive._database.writing() as connection:
        connection.execute(text("UPDATE inspections SET photo_state = 'removing'"))
    tidy(archive)
    assert states(archive) == {entry.inspection.id: "removed"}
    assert [path for path in files_below(folder / "photos") if entry.inspection.id in path.name] == []


@pytest.mark.slow
def test_what_a_killed_service_left_behind_goes_and_nothing_else(
    start_archive: StartArchive, make_entry: MakeEntry, folder: Path
) -> None:
    first = start_archive()
    entry = make_entry()
    record(first, entry)
    photo = folder / "photos" / str(first.find(entry.inspection.id).photo)
    lost = photo.with_name("0" * 32 + ".jpg")
    half = photo.with_name("." + "1" * 32 + ".jpg.partial")
    long_ago = folder / "photos" / "2020-01-01" / "00" / "2" / ("2" * 32 + ".jpg")
    long_ago.parent.mkdir(parents=True)
    for path in (lost, half, long_ago):
        path.write_bytes(b"left behind")
    with first._database.writing() as connection:  # a service that was killed leaves its row
        connection.execute(writers.insert().values(id="killed", alive_at=datetime.now(UTC)))
    first.close()

    second = start_archive()
    wait_until(lambda: not lost.exists() and not half.exists(), seconds=15.0)
    assert photo.read_bytes() == entry.photo
    assert long_ago.exists()  # from a time at which no service was killed: not ours to judge
    others = Presence(second._database, "")
    wait_until(lambda: all(trace.writer != "killed" for trace in others.others()), seconds=15.0)


def test_a_service_that_ends_as_it_should_leaves_no_trace(start_archive: StartArchive) -> None:
    first = start_archive()
    first.close()
    second = start_archive()
    assert len(Presence(second._database, "").others()) == 1


def test_a_full_disk_of_the_database_costs_no_photo_of_another_store(
    start_archive: StartArchive, make_entry: MakeEntry
) -> None:
    archive = start_archive(photo_store="memory://full-database", archive_free_bytes=2**60)
    entry = make_entry()
    record(archive, entry)
    tidy(archive)
    assert states(archive) == {entry.inspection.id: "kept"}
    assert archive.status().low_water


def test_a_clock_far_ahead_at_start_makes_nothing_old(
    start_archive: StartArchive, make_entry: MakeEntry, caplog: pytest.LogCaptureFixture
) -> None:
    first = start_archive()
    entry, newest = make_entry(), make_entry()
    for recorded, days in ((entry, 40), (newest, 35)):
        record(first, recorded)
        make_older(first, recorded.inspection.id, days)
    first.close()
    second = start_archive(retention_days=30)
    record(second, make_entry())  # by the wrong clock, like the others of this run
    tidy(second)
    assert "kept" in states(second).values()
    assert "removed" not in states(second).values()
    assert "At start, the newest record was 35 days old" in caplog.text


def test_what_was_judged_stays_until_it_is_exported(
    start_archive: StartArchive, make_entry: MakeEntry, folder: Path
) -> None:
    archive = start_archive(retention_days=30, retention_rows="remove")
    judged, unclear, waiting = entries = [make_entry() for _ in range(3)]
    for entry in entries:
        record(archive, entry)
        make_older(archive, entry.inspection.id, 31)
    desk = Desk(archive.holdings)
    judgement = desk.judge(judged.inspection.id, Opinion("accept", "Anna", mask=drawing()))
    desk.judge(unclear.inspection.id, Opinion("cannot_tell", "Anna"))
    tidy(archive)
    # Records outlive their photos once somebody has judged them; the others go as set.
    assert states(archive) == {judged.inspection.id: "kept", unclear.inspection.id: "removed"}
    assert waiting.inspection.id not in [item.inspection_id for item in desk.waiting(Wish(), 9)]

    mark_exported(archive._database, {judged.inspection.id: judgement.id})
    newer = desk.judge(judged.inspection.id, Opinion("overrule", "Ben", supersedes=judgement.id))
    tidy(archive)
    assert states(archive)[judged.inspection.id] == "kept"

    mark_exported(archive._database, {judged.inspection.id: newer.id})
    tidy(archive)
    assert set(states(archive).values()) == {"removed"}
    assert [path for path in files_below(folder / "photos") if judged.inspection.id in path.name] == []
    assert desk.history(judged.inspection.id) == [judgement, newer]


def test_for_space_neither_the_sample_nor_what_was_judged_goes_with_the_clean_ones(
    start_archive: StartArchive, make_entry: MakeEntry, caplog: pytest.LogCaptureFixture
) -> None:
    archive = start_archive(review_sample=1.0)
    sampled, judged = make_entry("clean"), make_entry("clean")
    for entry in (sampled, judged):
        record(archive, entry)
    plain = [make_entry("clean") for _ in range(3)]
    archive._recorder.writer._review_share = 0.0
    for entry in plain:
        record(archive, entry)
    Desk(archive.holdings).judge(judged.inspection.id, Opinion("accept", "Anna"))
    archive._retention._free_bytes = 2**60  # no disk is so large
    archive._retention.step()
    assert [states(archive)[entry.inspection.id] for entry in plain] == ["removed"] * 3
    assert states(archive)[sampled.inspection.id] == "kept"
    tidy(archive)
    assert states(archive)[sampled.inspection.id] == "removed"
    assert states(archive)[judged.inspection.id] == "kept"
    assert "1 photos stay because they were judged" in caplog.text
    assert "disputed judgements and damaged photos" in caplog.text


def test_what_was_judged_goes_like_the_others_if_so_set(
    start_archive: StartArchive, make_entry: MakeEntry
) -> None:
    archive = start_archive(retention_days=30, retention_judged="as_others")
    entry = make_entry()
    record(archive, entry)
    make_older(archive, entry.inspection.id, 31)
    Desk(archive.holdings).judge(entry.inspection.id, Opinion("accept", "Anna"))
    tidy(archive)
    assert states(archive) == {entry.inspection.id: "removed"}
