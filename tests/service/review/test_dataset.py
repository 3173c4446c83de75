"""`glint dataset from-archive`: a folder that training reads, made of what operators agreed on."""

from dataclasses import replace
from hashlib import sha256
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from models.errors import GlintError, UsageError
from service.archive.archive import Archive
from service.archive.tables import inspections, reviews
from service.cli import app
from service.review import dataset
from service.review.desk import Desk
from service.review.items import Wish
from tests.drills.evidence import files_below
from tests.service.archive.conftest import PAINTS, MakeEntry, record
from tests.service.review.conftest import Record, says
from tests.service.review.drawings import drawing
from tests.tiny_bundle import encode
from training.data.layouts import read_dataset
from training.data.samples import read_mask
from training.data.splits import split_dataset


def export(folder: Path, output: Path, *options: str) -> str:
    given = ["dataset", "from-archive", "--part", "bracket", "--archive", str(folder), str(output), *options]
    done = CliRunner().invoke(app, given)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


@pytest.fixture
def photo_of(archive: Archive, make_entry: MakeEntry) -> Record:
    """Record an inspection of a photo that no other inspection shows, and give its id."""
    seeds = count()

    def one(kind: str = "scratched", **changes: object) -> str:
        entry = make_entry(kind, **changes)
        photo = encode(PAINTS[kind](seed=next(seeds)))
        facts = {"sha256": sha256(photo).hexdigest(), "media_type": "image/png"}
        image = entry.inspection.image.model_copy(update=facts)
        inspection = entry.inspection.model_copy(update={"image": image})
        record(archive, replace(entry, inspection=inspection, photo=photo))
        return inspection.id

    return one


def test_training_reads_what_was_reviewed(
    desk: Desk, archive: Archive, photo_of: Record, folder: Path, tmp_path: Path
) -> None:
    good = photo_of("clean", serial="A1")
    escape = photo_of("clean", serial="A1")
    scratch = photo_of("scratched", serial="B,2")
    strange = photo_of("anomalous")
    desk.judge(good, says("accept"))
    desk.judge(escape, says("overrule", label="dented"))
    desk.judge(scratch, says("accept", mask=drawing()))
    desk.judge(strange, says("accept"))
    photo_of("scratched")  # nobody has judged it
    said = export(folder, tmp_path / "reviewed")
    assert "4 photos are in" in said
    assert "1 dented, 1 good, 1 other, 1 scratched, 1 with a mask" in said

    read = read_dataset(tmp_path / "reviewed", progress=False)
    assert read.skipped == ()
    assert read.hints == ()
    labels = {sample.path.stem: sample.label for sample in read.samples}
    assert labels == {good: "clean", escape: "dented", scratch: "scratched", strange: "other"}
    for sample in read.samples:
        found = archive.find(sample.path.stem)
        assert sample.path.read_bytes() == archive.picture(found, found.photo)
    groups = {sample.path.stem: sample.group for sample in read.samples}
    assert groups[good] == groups[escape] != groups[scratch]
    masked = next(sample for sample in read.samples if sample.path.stem == scratch)
    assert np.count_nonzero(read_mask(masked.mask, 160, 160)) == 30 * 20


@pytest.mark.slow
def test_photos_of_one_part_never_lie_on_both_sides_of_a_split(
    desk: Desk, photo_of: Record, folder: Path, tmp_path: Path
) -> None:
    for number in range(60):
        desk.judge(photo_of("clean", serial=f"part {number // 3}"), says("accept"))
    export(folder, tmp_path / "reviewed")
    split = split_dataset(read_dataset(tmp_path / "reviewed", progress=False).samples, seed=0)
    sides = [{sample.group for sample in part} for part in split.parts().values()]
    assert all(sides)
    assert len(set.union(*sides)) == sum(len(side) for side in sides) == 20


def test_what_is_left_out_is_counted_with_the_reason(
    desk: Desk, archive: Archive, photo_of: Record, inspect: Record, folder: Path, tmp_path: Path
) -> None:
    desk.judge(photo_of(), says("accept"))
    desk.judge(photo_of(), says("cannot_tell"))
    disputed = photo_of()
    first = desk.judge(disputed, says("accept", "Anna"))
    desk.judge(disputed, says("overrule", "Ben", supersedes=first.id))
    removed = photo_of()
    desk.judge(removed, says("accept"))
    missing, damaged = photo_of(), photo_of()
    for each in (missing, damaged):
        desk.judge(each, says("accept"))
    # The same photo twice, judged differently; another twice, judged alike.
    for kind, decisions in (("scratched", ("accept", "overrule")), ("anomalous", ("accept", "accept"))):
        for decision in decisions:
            desk.judge(inspect(kind), says(decision))
    with archive._database.writing() as connection:
        gone = inspections.c.id == removed
        connection.execute(update(inspections).where(gone).values(photo_state="removed", photo=None))
    archive._store.delete(str(archive.find(missing).photo))
    archive._store.write(str(archive.find(damaged).photo), b"something else")
    said = export(folder, tmp_path / "reviewed")
    assert "2 photos are in" in said
    assert "8 inspections were left out: 3 disagreement, 2 photo removed" in said
    for reason in ("1 cannot tell", "1 photo damaged in the store", "1 the same photo again"):
        assert reason in said


def test_the_same_photo_again_need_not_be_kept(
    desk: Desk, archive: Archive, inspect: Record, folder: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        desk.judge(inspect("anomalous"), says("accept"))
    assert "1 inspections were left out: 1 the same photo again" in export(folder, tmp_path / "reviewed")
    with archive._database.reading() as connection:
        rows = connection.execute(select(reviews.c.exported, reviews.c.judgement_id)).all()
    assert len(rows) == 2
    assert all(row.exported == row.judgement_id for row in rows)


@pytest.mark.parametrize(
    ("chain", "label"),
    [
        ([("accept", "Anna"), ("overrule", "Anna")], "good"),
        ([("accept", "Anna"), ("overrule", "Ben")], None),
        ([("accept", "Anna"), ("overrule", "Ben"), ("overrule", "Cleo")], "good"),
        ([("accept", "Anna"), ("overrule", "Ben"), ("accept", "Ben")], "scratched"),
        ([("accept", "Anna"), ("overrule", "Ben"), ("undo", "Ben")], "scratched"),
        ([("cannot_tell", "Anna"), ("overrule", "Ben")], "good"),
        ([("accept", "Anna"), ("cannot_tell", "Ben")], None),
    ],
)
def test_operators_who_disagree_decide_nothing_until_most_agree(
    desk: Desk, photo_of: Record, folder: Path, tmp_path: Path, chain: list[tuple[str, str]], label: str
) -> None:
    desk.judge(photo_of("anomalous"), says("accept"))
    disputed, latest = photo_of("scratched"), None
    for decision, operator in chain:
        latest = desk.judge(disputed, says(decision, operator, supersedes=latest)).id
    export(folder, tmp_path / "reviewed")
    found = [path.parent.name for path in files_below(tmp_path / "reviewed") if disputed in path.name]
    assert found == ([label] if label else [])


def test_the_service_may_run_and_judge_meanwhile(
    desk: Desk, archive: Archive, photo_of: Record, folder: Path, tmp_path: Path
) -> None:
    first, second = photo_of(), photo_of()
    said = desk.judge(first, says("accept"))
    desk.judge(second, says("accept"))
    export(folder, tmp_path / "reviewed")
    with archive._database.reading() as connection:
        rows = connection.execute(select(reviews.c.inspection_id, reviews.c.exported)).all()
    exported = {row.inspection_id: row.exported for row in rows}
    assert exported[first] == said.id
    assert desk.take("a" * 32, Wish()) is None
    assert photo_of()


def test_nothing_half_written_stays(
    desk: Desk, photo_of: Record, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        desk.judge(photo_of(), says("accept"))
    write = dataset._write

    def fail_at_the_second(path: Path, data: bytes) -> None:
        if len(files_below(tmp_path / ".reviewed.partial")) == 1:
            raise OSError(28, "No space left on device", str(path))
        write(path, data)

    monkeypatch.setattr(dataset, "_write", fail_at_the_second)
    with pytest.raises(OSError, match="No space left"):
        export(folder, tmp_path / "reviewed")
    assert [path.name for path in tmp_path.iterdir() if "reviewed" in path.name] == []


def test_what_cannot_be_done_is_said_and_makes_no_folder(
    desk: Desk, photo_of: Record, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no inspection was reviewed"):
        export(folder, tmp_path / "reviewed")
    desk.judge(photo_of(), says("cannot_tell"))
    with pytest.raises(UsageError, match="1 cannot tell"):
        export(folder, tmp_path / "reviewed")
    with pytest.raises(UsageError, match="--unnamed"):
        export(folder, tmp_path / "reviewed", "--unnamed", "good")
    with pytest.raises(GlintError, match="There is no archive"):
        export(tmp_path / "nowhere", tmp_path / "reviewed")
    assert not (tmp_path / "reviewed").exists()
    (tmp_path / "reviewed").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        export(folder, tmp_path / "reviewed")
