"""What an archive holds, read past the service: straight from its database and its folder."""

import hashlib
import os
from pathlib import Path

from sqlalchemy import create_engine, text

from tests.drills.harness import Shots


def check_nothing_lost(shots: Shots, database: str, photos: Path) -> int:
    """Every answered inspection is in the archive once, with its photo; how many rows there are."""
    engine = create_engine(database)
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT id, serial, verdict, image_sha256, photo FROM inspections")
        ).all()
    engine.dispose()
    by_id = {row.id: row for row in rows}
    serials = [row.serial for row in rows]
    assert len(by_id) == len(rows)
    assert len(set(serials)) == len(serials)
    for shot in shots.answered():
        row = by_id.get(shot.answer["id"])
        assert row is not None, f"{shot.answer} was answered and is not in the archive"
        sha256 = hashlib.sha256(shot.photo.data).hexdigest()
        assert (row.serial, row.verdict, row.image_sha256) == (shot.answer["serial"], shot.verdict, sha256)
    for row in rows:
        data = (photos / row.photo).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row.image_sha256, row
    return len(rows)


def orphans(database: str, photos: Path) -> list[Path]:
    """Files in the photo store, half-written ones included, that no row names."""
    engine = create_engine(database)
    with engine.connect() as connection:
        named = connection.execute(text("SELECT photo, overlay FROM inspections")).all()
    engine.dispose()
    known = {path for row in named for path in (row.photo, row.overlay)}
    files = [path for path in files_below(photos) if "probe-" not in path.name]
    return [path for path in files if path.relative_to(photos).as_posix() not in known]


def files_below(folder: Path) -> list[Path]:
    """All files, in folders that the service may be removing."""
    return [Path(at, name) for at, _, names in os.walk(folder) for name in names]


def integrity(file: Path) -> str:
    """What SQLite says of its file: `ok`."""
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        said = connection.execute(text("PRAGMA integrity_check")).scalar_one()
    engine.dispose()
    return str(said)
