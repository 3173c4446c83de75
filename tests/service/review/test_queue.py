"""The queue: what is in it, in which order, and that two operators get different items."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text, update

from service.archive.archive import Archive
from service.archive.policy import draw
from service.archive.tables import inspections, reviews
from service.review import queue
from service.review.desk import Desk
from service.review.errors import HeldError
from service.review.items import Wish
from tests.service.archive.conftest import MakeEntry, StartArchive, record
from tests.service.review.conftest import Record, says

A, B = "a" * 32, "b" * 32


def waiting(desk: Desk, wish: Wish | None = None) -> list[str]:
    return [item.inspection_id for item in desk.waiting(wish or Wish(), 100)]


def test_defects_and_doubts_wait_and_nothing_else(desk: Desk, inspect: Record) -> None:
    scratched, anomalous = inspect("scratched"), inspect("anomalous")
    doubtful = inspect("clean", needs_review=True)
    inspect("clean")
    inspect("clean", verdict="invalid", needs_review=True, score=None)
    assert waiting(desk) == [scratched, anomalous, doubtful]
    assert [item.reason for item in desk.waiting(Wish(), 100)] == ["defect", "defect", "doubt"]
    assert desk.counts().waiting == {"defect": 2, "doubt": 1, "sample": 0, "chosen": 0}


@pytest.mark.slow
def test_the_sample_is_drawn_by_ids_alone_and_its_photos_are_kept(
    start_archive: StartArchive, make_entry: MakeEntry
) -> None:
    archive = start_archive(review_sample=0.3, archive_photos="defects,cap=none")
    entries = [make_entry("clean", part="cap" if number % 5 == 0 else "bracket") for number in range(100)]
    for entry in entries:
        record(archive, entry)
    bracket = [entry.inspection.id for entry in entries if entry.inspection.part == "bracket"]
    items = Desk(archive.holdings).waiting(Wish(), 200)
    assert [item.inspection_id for item in items] == [each for each in bracket if draw(each) < 0.3]
    assert {item.reason for item in items} == {"sample"}
    for item in items:
        found = archive.find(item.inspection_id)
        assert archive.picture(found, found.photo)


def test_the_oldest_the_newest_or_the_most_doubtful_come_first(desk: Desk, inspect: Record) -> None:
    first, second, third = (inspect("scratched", score=score) for score in (0.9, 0.52, 0.7))
    assert waiting(desk) == [first, second, third]
    assert waiting(desk, Wish("newest")) == [third, second, first]
    assert waiting(desk, Wish("doubtful")) == [second, third, first]


def test_part_and_reason_can_be_chosen(desk: Desk, inspect: Record) -> None:
    one, two = inspect("scratched"), inspect("scratched", part="cap")
    doubt = inspect("clean", needs_review=True)
    assert waiting(desk, Wish(part="cap")) == [two]
    assert waiting(desk, Wish(reason="doubt")) == [doubt]
    assert waiting(desk, Wish(part="bracket", reason="defect")) == [one]
    assert desk.counts("cap").waiting["defect"] == 1
    assert desk.parts() == ["bracket", "cap"]


def test_two_operators_get_different_items_and_each_keeps_its_own(desk: Desk, inspect: Record) -> None:
    first, second = inspect(), inspect()
    assert desk.take(A, Wish()) == first
    assert desk.take(B, Wish()) == second
    assert desk.take(A, Wish()) == first
    assert desk.take("c" * 32, Wish()) is None
    with pytest.raises(HeldError):
        desk.hold(first, B)
    desk.hold(first, A)
    desk.release(first, A)
    assert desk.take("c" * 32, Wish()) == first


def test_many_at_the_same_time_never_get_the_same_item(desk: Desk, inspect: Record) -> None:
    ids = {inspect() for _ in range(4)}
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda number: desk.take(f"{number:032x}", Wish()), range(4)))
    assert set(taken) == ids


def test_a_lease_ends_by_itself(desk: Desk, archive: Archive, inspect: Record) -> None:
    item = inspect()
    now = datetime.now(UTC)
    assert queue.take(archive._database, A, Wish(), now) == item
    assert queue.take(archive._database, B, Wish(), now + queue.LEASE - timedelta(seconds=1)) is None
    assert queue.take(archive._database, B, Wish(), now + queue.LEASE) == item


def test_what_is_put_off_comes_again_later(desk: Desk, archive: Archive, inspect: Record) -> None:
    first, second = inspect(), inspect()
    assert desk.take(A, Wish()) == first
    desk.release(first, A, put_off=True)
    assert desk.take(A, Wish()) == second
    later = datetime.now(UTC) + queue.PUT_OFF
    assert queue.take(archive._database, B, Wish(), later) == first


def test_what_is_put_off_is_not_with_another_operator(desk: Desk, inspect: Record) -> None:
    item = inspect()
    desk.take(A, Wish())
    with pytest.raises(HeldError):
        desk.hold(item, B)
    desk.release(item, A, put_off=True)
    desk.hold(item, B)
    assert desk.take(B, Wish()) is None


def test_what_is_judged_waits_no_more_and_holding_it_does_nothing(desk: Desk, inspect: Record) -> None:
    item = inspect()
    assert desk.take(A, Wish()) == item
    judgement = desk.judge(item, says("accept"))
    assert waiting(desk) == []
    desk.hold(item, B)
    assert desk.counts().judged == 1
    desk.judge(item, says("undo", supersedes=judgement.id))
    assert waiting(desk) == [item]


def test_a_part_that_nobody_asked_about_can_be_judged_too(desk: Desk, inspect: Record) -> None:
    escape = inspect("clean")
    judgement = desk.judge(escape, says("overrule", label="dented"))
    assert desk.classes("bracket") == ["dented"]
    desk.judge(escape, says("undo", supersedes=judgement.id))
    assert [item.reason for item in desk.waiting(Wish(), 10)] == ["chosen"]


def test_a_withdrawn_verdict_is_not_for_people_to_judge(
    desk: Desk, archive: Archive, make_entry: MakeEntry
) -> None:
    entry = make_entry()
    record(archive, entry)
    archive.submit_withdrawal(entry.inspection, "the canary failed").result(10.0)
    assert waiting(desk) == []


def test_what_was_recorded_before_the_upgrade_is_in_the_queue(
    desk: Desk, archive: Archive, inspect: Record
) -> None:
    scratched, doubtful = inspect("scratched"), inspect("clean", needs_review=True)
    inspect("clean")
    inspect("clean", verdict="invalid", needs_review=True, score=None)
    gone = inspect("anomalous")
    items = desk.waiting(Wish(), 10)[:2]
    with archive._database.engine.begin() as connection:
        connection.execute(update(inspections).where(inspections.c.id == gone).values(photo_state="removed"))
        for table in ("shadow_verdicts", "activations", "judgements", "reviews"):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("DROP INDEX ix_inspections_counts"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    archive._database._identity = None
    archive._database.open()
    assert waiting(desk) == [scratched, doubtful]
    assert desk.waiting(Wish(), 10) == items


def test_rows_of_the_queue_go_with_their_inspection(archive: Archive, inspect: Record) -> None:
    inspect()
    with archive._database.writing() as connection:
        connection.execute(inspections.delete())
    with archive._database.reading() as connection:
        assert connection.execute(reviews.select()).all() == []
