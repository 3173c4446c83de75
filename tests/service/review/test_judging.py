"""Judgements are recorded for ever; nobody's is lost, and what stands is always known."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import delete, text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from service.archive.archive import Archive
from service.archive.errors import UnknownInspectionError
from service.archive.tables import judgements, reviews
from service.errors import RequestError
from service.review.desk import Desk
from service.review.errors import (
    JudgedMeanwhileError,
    NoMaskError,
    NothingToUndoError,
    NotJudgeableError,
    UnknownJudgementError,
)
from tests.drills.evidence import files_below
from tests.service.review.conftest import Record, says
from tests.service.review.drawings import drawing


def state(archive: Archive, inspection_id: str) -> tuple[str, str | None]:
    with archive._database.reading() as connection:
        row = connection.execute(reviews.select().where(reviews.c.inspection_id == inspection_id)).one()
    return row.state, row.label


@pytest.mark.parametrize(
    ("kind", "decision", "label", "said"),
    [
        ("scratched", "accept", None, "scratched"),
        ("scratched", "accept", "dented", "dented"),
        ("scratched", "overrule", None, "clean"),
        ("anomalous", "accept", None, "anomalous"),
        ("anomalous", "accept", "dented", "dented"),
        ("clean", "accept", None, "clean"),
        ("clean", "overrule", None, "anomalous"),
        ("clean", "overrule", "dented", "dented"),
        ("clean", "cannot_tell", None, None),
    ],
)
def test_what_the_part_is_follows_from_verdict_and_decision(
    desk: Desk, archive: Archive, inspect: Record, kind: str, decision: str, label: str, said: str
) -> None:
    inspection_id = inspect(kind)
    judgement = desk.judge(inspection_id, says(decision, label=label, note="seen twice", key_id="0" * 12))
    assert (judgement.label, judgement.number, judgement.stands) == (said, 1, judgement.id)
    assert desk.history(inspection_id) == [judgement]
    assert state(archive, inspection_id) == ("judged", said)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("scratched", {"decision": "overrule", "label": "dented"}),
        ("clean", {"decision": "accept", "label": "dented"}),
        ("clean", {"decision": "overrule", "label": "ok"}),
        ("clean", {"decision": "overrule", "label": "masks"}),
        ("clean", {"decision": "overrule", "label": "invalid"}),
        ("clean", {"decision": "overrule", "label": "readme.md"}),
        ("clean", {"decision": "overrule", "label": "../dented"}),
        ("scratched", {"decision": "cannot_tell", "label": "dented"}),
        ("clean", {"decision": "accept", "mask": b"anything"}),
        ("scratched", {"decision": "cannot_tell", "mask": b"anything"}),
    ],
)
def test_what_contradicts_itself_is_refused(
    desk: Desk, archive: Archive, inspect: Record, kind: str, given: dict[str, object]
) -> None:
    inspection_id = inspect(kind)
    with pytest.raises(RequestError) as error:
        desk.judge(inspection_id, says(**given))
    assert error.value.code == "bad_field"
    assert desk.history(inspection_id) == []


def test_what_gave_no_verdict_cannot_be_judged(desk: Desk, inspect: Record) -> None:
    with pytest.raises(NotJudgeableError):
        desk.judge(inspect("clean", verdict="invalid", score=None), says("accept"))


def test_what_is_not_there_cannot_be_judged(desk: Desk, inspect: Record) -> None:
    with pytest.raises(UnknownInspectionError):
        desk.judge("0" * 32, says("accept"))
    with pytest.raises(UnknownInspectionError):
        desk.history("0" * 32)
    with pytest.raises(UnknownJudgementError):
        desk.judge(inspect(), says("accept", supersedes="0" * 32))


def test_a_second_opinion_must_know_the_first(desk: Desk, archive: Archive, inspect: Record) -> None:
    inspection_id = inspect()
    first = desk.judge(inspection_id, says("accept", "Anna"))
    with pytest.raises(JudgedMeanwhileError, match=r"Anna judged this part meanwhile.*accept, scratched"):
        desk.judge(inspection_id, says("overrule", "Ben"))
    assert desk.history(inspection_id) == [first]
    second = desk.judge(inspection_id, says("overrule", "Ben", supersedes=first.id))
    assert desk.history(inspection_id) == [first, second]
    assert state(archive, inspection_id) == ("judged", "clean")


def test_of_many_at_the_same_time_one_gets_through_and_the_others_hear_of_it(
    desk: Desk, inspect: Record
) -> None:
    inspection_id = inspect()

    def try_it(number: int) -> str:
        try:
            return desk.judge(inspection_id, says("accept", f"operator {number}", mask=drawing())).id
        except JudgedMeanwhileError:
            return ""

    with ThreadPoolExecutor(4) as pool:
        done = [result for result in pool.map(try_it, range(4)) if result]
    assert [judgement.id for judgement in desk.history(inspection_id)] == done
    assert len(done) == 1


def test_the_database_itself_refuses_a_second_judgement_of_the_same_number(
    desk: Desk, archive: Archive, inspect: Record
) -> None:
    first = desk.judge(inspect(), says("accept"))
    row = {**first.__dict__, "id": "f" * 32}
    with pytest.raises(IntegrityError), archive._database.writing() as connection:
        connection.execute(judgements.insert().values(row))


def test_undo_brings_back_what_stood_before_and_records_it(
    desk: Desk, archive: Archive, inspect: Record
) -> None:
    inspection_id = inspect()
    first = desk.judge(inspection_id, says("accept"))
    second = desk.judge(inspection_id, says("overrule", supersedes=first.id))
    undo = desk.judge(inspection_id, says("undo", supersedes=second.id))
    assert undo.stands == first.id
    assert state(archive, inspection_id) == ("judged", "scratched")
    again = desk.judge(inspection_id, says("undo", supersedes=undo.id))
    assert again.stands is None
    assert state(archive, inspection_id) == ("waiting", None)
    with pytest.raises(NothingToUndoError):
        desk.judge(inspection_id, says("undo", supersedes=again.id))
    third = desk.judge(inspection_id, says("cannot_tell", supersedes=again.id))
    assert [judgement.number for judgement in desk.history(inspection_id)] == [1, 2, 3, 4, 5]
    assert third.stands == third.id


def test_judgements_can_neither_be_changed_nor_removed(desk: Desk, archive: Archive, inspect: Record) -> None:
    judgement = desk.judge(inspect(), says("accept"))
    for change in (update(judgements).values(operator="Nobody"), delete(judgements)):
        refused = pytest.raises((IntegrityError, OperationalError), match="never changed")
        with refused, archive._database.engine.begin() as connection:
            connection.execute(change)
    assert desk.history(judgement.inspection_id) == [judgement]


def test_a_mask_is_kept_as_one_channel_at_the_photos_size(desk: Desk, inspect: Record) -> None:
    inspection_id = inspect()
    judgement = desk.judge(inspection_id, says("accept", mask=drawing()))
    with Image.open(io.BytesIO(desk.mask(inspection_id, judgement.id))) as picture:
        assert (picture.mode, picture.size) == ("L", (160, 160))
        values = np.asarray(picture)
    assert values[50:80, 40:60].min() == 255
    assert np.count_nonzero(values) == 30 * 20


def test_a_judgement_without_a_mask_has_none(desk: Desk, inspect: Record) -> None:
    inspection_id = inspect()
    judgement = desk.judge(inspection_id, says("accept"))
    with pytest.raises(NoMaskError):
        desk.mask(inspection_id, judgement.id)
    with pytest.raises(UnknownJudgementError):
        desk.mask(inspection_id, "0" * 32)


@pytest.mark.parametrize("mask", [b"", b"no picture", drawing((80, 160)), drawing()[:-40]])
def test_a_mask_that_fits_no_photo_is_refused_and_nothing_is_kept(
    desk: Desk, inspect: Record, folder: object, mask: bytes
) -> None:
    inspection_id = inspect()
    with pytest.raises(RequestError) as error:
        desk.judge(inspection_id, says("accept", mask=mask))
    assert error.value.code == "bad_mask"
    assert desk.history(inspection_id) == []
    assert not [path for path in files_below(folder) if ".mask-" in path.name]


def test_an_empty_mask_is_refused(desk: Desk, inspect: Record) -> None:
    empty = io.BytesIO()
    Image.new("RGBA", (160, 160)).save(empty, "PNG")
    with pytest.raises(RequestError, match="marks nothing"):
        desk.judge(inspect(), says("accept", mask=empty.getvalue()))


def test_the_mask_of_the_slower_one_goes_and_that_of_the_faster_one_stays(
    desk: Desk, archive: Archive, inspect: Record, folder: object
) -> None:
    inspection_id = inspect()
    first = desk.judge(inspection_id, says("accept", "Anna", mask=drawing()))
    with archive._database.reading() as connection:
        seen = connection.execute(text("SELECT mask FROM judgements")).scalar_one()
    archive._orphans.doubt(inspection_id, seen)  # as if it were not known whether the row was written
    lost = seen.replace(first.id, "e" * 32)
    archive._store.write(lost, b"the mask of a judgement that was refused")
    archive._orphans.doubt(inspection_id, lost)
    archive._orphans._seconds = 0.0
    archive._orphans.remove()
    assert [path.name for path in files_below(folder) if ".mask-" in path.name] == [
        f"{inspection_id}.mask-{first.id}.png"
    ]
