"""Questions to a real archive: what was recorded is counted, once, and where its defects lie."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event

import numpy as np
import pytest
from sqlalchemy import delete, select, update

from models.preprocessing import Preprocessing
from service.archive.archive import LARGEST_CROWD, Archive
from service.archive.errors import ArchiveBusyError, ArchiveUnavailableError
from service.archive.tables import inspections, reviews
from service.review.desk import Desk
from service.settings import Settings
from service.statistics import analyst as analyst_module
from service.statistics import memory
from service.statistics.analyst import Analyst
from service.statistics.question import Question
from service.statistics.reading import Read
from tests.service.archive.conftest import MakeEntry, record
from tests.service.archive.test_retention import make_older
from tests.service.review.conftest import Record, says
from tests.service.review.drawings import drawing

SQUARE = Preprocessing(height=64, width=64)


@pytest.fixture
def analyst(archive: Archive) -> Analyst:
    plant = Settings.of(shifts="06:00,18:00", time_zone="Europe/Berlin").plant_time
    return Analyst(archive.holdings, plant, lambda part: SQUARE if part == "bracket" else None)


def counted(analyst: Analyst, **asked: object) -> tuple[int, int, int]:
    buckets = analyst.trend(Question(**asked)).buckets
    return (
        sum(each.inspected for each in buckets),
        sum(each.rejects for each in buckets),
        sum(each.invalid for each in buckets),
    )


def test_a_question_counts_what_was_recorded_since_the_last_one(analyst: Analyst, inspect: Record) -> None:
    assert counted(analyst) == (0, 0, 0)
    inspect("clean", camera="cam1")
    inspect("scratched", camera="cam2")
    assert counted(analyst) == (2, 1, 0)
    inspect("anomalous")
    assert counted(analyst) == (3, 2, 0)
    assert counted(analyst, camera="cam2") == (1, 1, 0)
    assert counted(analyst, camera="") == (1, 1, 0)
    assert counted(analyst, version="another") == (0, 0, 0)


def test_a_verdict_that_was_taken_back_is_none(
    analyst: Analyst, archive: Archive, make_entry: MakeEntry
) -> None:
    entry = make_entry("scratched")
    record(archive, entry)
    assert counted(analyst) == (1, 1, 0)
    archive.submit_withdrawal(entry.inspection, "the canary failed").result()
    assert counted(analyst) == (0, 0, 1)


def test_after_an_hour_all_is_read_again_and_a_failure_then_mixes_nothing_up(
    analyst: Analyst, archive: Archive, make_entry: MakeEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [make_entry(kind, camera=camera) for kind, camera in (("clean", "cam1"), ("scratched", "cam2"))]
    for entry in entries:
        record(archive, entry)
        # Long enough ago that only an hourly reading reads them again.
        make_older(archive, entry.inspection.id, 1)
    assert counted(analyst, camera="cam2") == (1, 1, 0)
    with archive.holdings.database.writing() as connection:
        connection.execute(delete(reviews))
        connection.execute(delete(inspections).where(inspections.c.id == entries[0].inspection.id))
    monkeypatch.setattr(memory, "_LONGEST", timedelta(0))
    whole = memory.read

    def fail(*given: object) -> Read:
        whole(*given)
        raise ArchiveUnavailableError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(memory, "read", fail)
        with pytest.raises(ArchiveUnavailableError):
            analyst.trend(Question())
    monkeypatch.setattr(memory, "_LONGEST", timedelta(hours=1))
    assert counted(analyst, camera="cam2") == (1, 1, 0)
    monkeypatch.setattr(memory, "_LONGEST", timedelta(0))
    assert counted(analyst) == (1, 1, 0)
    assert counted(analyst, camera="cam1") == (0, 0, 0)


def test_who_waits_for_the_reading_of_another_holds_no_turn(
    analyst: Analyst, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, begun, go_on = memory.read, Event(), Event()
    since = []

    def slow(*given: object) -> Read:
        since.append(given[1])
        begun.set()
        assert go_on.wait(10)
        return whole(*given)

    monkeypatch.setattr(memory, "read", slow)
    with ThreadPoolExecutor(LARGEST_CROWD) as pool:
        asked = [pool.submit(counted, analyst) for _ in range(LARGEST_CROWD)]
        try:
            assert begun.wait(10)
            time.sleep(0.2)  # for the others to come as far as they can
            with archive.holdings.turn(), archive.holdings.turn():
                assert not any(each.done() for each in asked)
        finally:
            go_on.set()
    assert [each.result() for each in asked] == [(0, 0, 0)] * LARGEST_CROWD
    assert since.count(None) == 1, "all is read once, whoever asked first"


def test_nobody_waits_for_ever_for_a_database_that_hangs(
    analyst: Analyst, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analyst_module, "_LONGEST_WAIT", 0.01)
    whole, begun, go_on = memory.read, Event(), Event()

    def hang(*given: object) -> Read:
        begun.set()
        assert go_on.wait(10)
        return whole(*given)

    monkeypatch.setattr(memory, "read", hang)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(counted, analyst)
        try:
            assert begun.wait(10)
            with pytest.raises(ArchiveBusyError):
                analyst.trend(Question())
        finally:
            go_on.set()
    assert asked.result() == (0, 0, 0)
    assert counted(analyst) == (0, 0, 0)


def test_only_the_newest_are_kept_and_older_times_are_read_when_asked_for(
    analyst: Analyst, archive: Archive, inspect: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analyst_module, "MOST_READ", 2)
    old = [inspect("scratched") for _ in range(2)]
    for days, each in enumerate(old):
        make_older(archive, each, 10 + days)
    for _ in range(2):
        inspect("clean")
    found = analyst.trend(Question())
    assert (sum(each.inspected for each in found.buckets), found.shortened) == (2, True)
    until = datetime.now(UTC) - timedelta(days=5)
    assert counted(analyst, until=until) == (2, 2, 0)
    inspect("clean")
    assert sum(each.inspected for each in analyst.trend(Question()).buckets) >= 2


def test_defects_lie_where_their_regions_are(analyst: Analyst, inspect: Record) -> None:
    for kind in ("scratched", "scratched", "anomalous", "clean"):
        inspect(kind)
    inspect("scratched", part="cap")
    found = analyst.places(Question(part="bracket"))
    assert (found.defects, found.drawn, found.without_place, found.good) == (3, 0, 0, 0)
    assert found.cells.shape == (64, 64)
    left, right = found.cells[:, :32], found.cells[:, 32:]
    assert (left.max(), right.max()) == (2, 1)
    assert found.cells[32, 19] == 2, "the scratch, left of the middle"
    assert found.cells[46, 46] == 1, "the spot, near the lower right corner"
    assert found.cells[0, 0] == 0
    assert analyst.places(Question(part="bracket", camera="nobody")).defects == 0
    assert analyst.places(Question(part="unknown")).cells.max() == 0


def test_drawings_of_operators_count_for_regions_and_good_parts_not_at_all(
    analyst: Analyst, archive: Archive, inspect: Record
) -> None:
    desk = Desk(archive.holdings)
    desk.judge(inspect("anomalous"), says("accept", label="dented", mask=drawing()))
    desk.judge(inspect("scratched"), says("overrule"))
    desk.judge(inspect("clean"), says("overrule", label="dented", mask=drawing()))
    desk.judge(inspect("scratched"), says("cannot_tell"))
    found = analyst.places(Question(part="bracket"))
    assert (found.defects, found.drawn, found.good) == (3, 2, 1)
    # The drawing is 20 x 30 pixels of 160, at 40 from the left and 50 from the top.
    rows, columns = np.nonzero(found.cells >= 2)
    assert (columns.min(), columns.max()) == (16, 23)
    assert (rows.min(), rows.max()) == (20, 31)


def test_what_only_an_operator_found_counts_in_its_own_time(
    analyst: Analyst, archive: Archive, inspect: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(archive.holdings)
    escaped = inspect("clean")
    desk.judge(escaped, says("overrule", label="dented", mask=drawing()))
    make_older(archive, escaped, 10)
    with archive.holdings.database.writing() as connection:
        own = select(inspections.c.time).where(inspections.c.id == escaped).scalar_subquery()
        connection.execute(update(reviews).where(reviews.c.inspection_id == escaped).values(time=own))
    for _ in range(2):
        inspect("clean")
    assert analyst.places(Question(part="bracket")).defects == 1
    lately = datetime.now(UTC) - timedelta(days=1)
    assert analyst.places(Question(part="bracket", since=lately)).defects == 0
    monkeypatch.setattr(analyst_module, "MOST_READ", 2)
    fresh = Analyst(archive.holdings, analyst.plant, lambda part: SQUARE)
    assert fresh.places(Question(part="bracket")).defects == 0, "it is before those that are kept"


def test_a_photo_of_another_shape_lies_between_mirrored_borders(
    archive: Archive, inspect: Record, make_entry: MakeEntry
) -> None:
    wide = Preprocessing(height=32, width=128)
    plant = Settings.of().plant_time
    inspect("anomalous")
    found = Analyst(archive.holdings, plant, lambda part: wide).places(Question(part="bracket"))
    assert found.cells.shape == (16, 64)
    columns = np.nonzero(found.cells.max(axis=0))[0]
    # A square photo takes the middle quarter of the width.
    assert columns.min() >= 24
    assert columns.max() < 40
    unframed = Analyst(archive.holdings, plant, lambda part: None).places(Question(part="bracket"))
    assert unframed.cells.shape == (64, 64)
    assert unframed.cells[46, 46] == 1
