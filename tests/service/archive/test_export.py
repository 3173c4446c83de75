"""`glint export-archive`: the records as a table."""

import csv
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from models.errors import GlintError, UsageError
from service.archive import command, export
from service.archive.archive import Archive
from service.cli import app
from tests.service.archive.conftest import MakeEntry, record
from tests.service.live import free_port


def run(folder: Path, *options: str) -> None:
    done = CliRunner().invoke(app, ["export-archive", "--archive", str(folder), *options])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output


@pytest.mark.slow
def test_csv_and_parquet_hold_the_same_rows(
    archive: Archive, make_entry: MakeEntry, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE", 3)
    entries = [make_entry("clean" if n % 2 else "scratched", serial=f"A,{n}") for n in range(8)]
    for entry in entries:
        record(archive, entry)
    run(folder, "--output", str(tmp_path / "all.csv"))
    run(folder, "--output", str(tmp_path / "all.parquet"), "--format", "parquet")
    with (tmp_path / "all.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    rows = pq.read_table(tmp_path / "all.parquet").to_pylist()
    assert [line["id"] for line in lines] == [entry.inspection.id for entry in reversed(entries)]
    for line, row in zip(lines, rows, strict=True):
        assert (line["id"], line["serial"], line["verdict"]) == (row["id"], row["serial"], row["verdict"])
        assert float(line["score"]) == row["score"]
        assert datetime.fromisoformat(line["time"]) == row["time"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_filters_choose_the_rows(
    archive: Archive, make_entry: MakeEntry, folder: Path, tmp_path: Path
) -> None:
    for kind in ("clean", "scratched", "scratched"):
        record(archive, make_entry(kind))
    run(folder, "--output", str(tmp_path / "some.csv"), "--verdict", "scratched", "--from", "2026-01-01")
    assert len((tmp_path / "some.csv").read_text().splitlines()) == 3
    run(folder, "--output", str(tmp_path / "none.csv"), "--to", "2020-01-01")
    assert len((tmp_path / "none.csv").read_text().splitlines()) == 1


def test_without_an_archive_it_says_so_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(GlintError, match="There is no archive"):
        run(tmp_path / "nowhere", "--output", str(tmp_path / "all.csv"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["postgresql://glint@127.0.0.1:{port}/glint", "sqlite:///{folder}/notes.txt"])
def test_an_archive_that_cannot_be_read_is_said_in_a_line(tmp_path: Path, url: str) -> None:
    (tmp_path / "notes.txt").write_text("no database " * 100)
    given = url.format(port=free_port(), folder=tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        run(tmp_path, "--output", str(tmp_path / "all.csv"), "--database-url", given)
    assert not (tmp_path / "all.csv").exists()


def test_an_export_waits_longer_for_the_database_than_a_line_does(
    archive: Archive, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(command, "export", lambda archive, *more: seen.append(archive) or 0)
    run(folder, "--output", str(tmp_path / "all.csv"))
    with seen[0].engine.connect() as connection:
        milliseconds = connection.execute(text("PRAGMA busy_timeout")).scalar_one()
    seen[0].close()
    assert milliseconds >= 60_000
