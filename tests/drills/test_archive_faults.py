"""The archive's disk or database fails under load: photos get 503 until it is back, and nothing is lost."""

import itertools
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import boto3
import pytest

from tests.drills.conftest import DrillRecord
from tests.drills.disks import mounting, remount, small_disk
from tests.drills.evidence import check_nothing_lost, integrity
from tests.drills.harness import (
    Shots,
    assert_never_clean_by_fault,
    cameras,
    photos,
    wait_for,
    wait_for_answers,
)
from tests.drills.postgres import Postgres, postgres_server
from tests.service.live import Live, free_port, serving, wait_until_ready

SECONDS = 30.0
# Longer than a store's client tries for.
DEADLINE_MS = 10_000
SETTINGS = {"GLINT_ARCHIVE_FREE_BYTES": "0"}
EXPECTED = "503 and red readiness with the reason while it lasts; then verdicts; nothing answered is lost"

ALBUM = photos(15)

pytestmark = pytest.mark.drill


def reasons(live: Live) -> str:
    status, body = live.get("/readyz")
    return "" if status == 200 else " ".join(json.loads(body)["reasons"])


def load(live: Live, count: int = 4) -> AbstractContextManager[Shots]:
    return cameras(
        live.port,
        ALBUM,
        count=count,
        pause=0.01,
        query="?overlay=none",
        deadline_ms=DEADLINE_MS,
        serials=True,
    )


def fails_and_heals(live: Live, shots: Shots, fail: Callable[[], object], heal: Callable[[], object]) -> str:
    """Provoke a fault under load and mend it; what /readyz said meanwhile."""
    wait_for_answers(shots, 10)
    fail()
    wait_for(lambda: shots.codes()["archive_unavailable"] > 3, "photos that cannot be recorded", SECONDS)
    wait_for(lambda: reasons(live) != "", "readiness to turn red", SECONDS)
    said = reasons(live)
    answered = len(shots.answered())
    time.sleep(1.5)
    assert len(shots.answered()) == answered, "a photo was answered that could not be recorded"
    heal()
    wait_for(lambda: reasons(live) == "", "readiness to turn green", SECONDS)
    wait_for_verdicts(shots, answered + 10)
    assert set(shots.codes()) == {"archive_unavailable"}
    return said


def wait_for_verdicts(shots: Shots, count: int) -> None:
    wait_for(lambda: len(shots.answered()) > count, f"{count} verdicts", SECONDS)


def check(shots: Shots, folder: Path) -> str:
    """Nothing is lost in the archive in `folder`; what was seen."""
    rows = check_nothing_lost(shots, f"sqlite:///{folder / 'inspections.sqlite'}", folder / "photos")
    assert integrity(folder / "inspections.sqlite") == "ok"
    return seen(shots, rows)


def seen(shots: Shots, rows: int) -> str:
    assert_never_clean_by_fault(shots)
    return f"{shots.said()}; {len(shots.answered())} verdicts answered, {rows} recorded"


@mounting
def test_disk_full(tiny_bundles: Path, tmp_path: Path, drill_record: DrillRecord) -> None:
    with small_disk(tmp_path / "disk") as folder:
        filler = folder / "filler"

        def fill() -> None:
            with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
                any(file.write(bytes(65536)) == 0 for _ in itertools.count())

        with serving(tiny_bundles, archive=folder, environment=SETTINGS) as live, load(live) as shots:
            said = fails_and_heals(live, shots, fill, filler.unlink)
        assert "No space left" in said or "disk is full" in said or "disk I/O" in said
        found = check(shots, folder)
    drill_record(
        fault="The archive's disk is full",
        provoked="a file system of 16 MB is filled to its last byte under load, then freed",
        expected=EXPECTED,
        seen=found,
    )


@mounting
def test_disk_of_the_photos_turns_read_only(
    tiny_bundles: Path, tmp_path: Path, drill_record: DrillRecord
) -> None:
    with small_disk(tmp_path / "disk", megabytes=64) as disk:
        settings = {**SETTINGS, "GLINT_PHOTO_STORE": str(disk)}
        folder = tmp_path / "archive"
        with serving(tiny_bundles, archive=folder, environment=settings) as live, load(live) as shots:
            said = fails_and_heals(live, shots, lambda: remount(disk, "ro"), lambda: remount(disk, "rw"))
        assert "Read-only file system" in said
        rows = check_nothing_lost(shots, f"sqlite:///{folder / 'inspections.sqlite'}", disk)
    drill_record(
        fault="The disk of the photos turns read-only",
        provoked="its file system is mounted read-only under load, then writable",
        expected=EXPECTED,
        seen=seen(shots, rows),
    )


@mounting
def test_disk_that_is_read_only_at_start(
    tiny_bundles: Path, tmp_path: Path, drill_record: DrillRecord
) -> None:
    with small_disk(tmp_path / "disk", megabytes=64) as disk:
        remount(disk, "ro")
        with serving(tiny_bundles, archive=disk / "archive", environment=SETTINGS, ready=False) as live:
            wait_until_ready(live, 503)
            wait_for(lambda: "Read-only file system" in reasons(live), "the reason", SECONDS)
            wait_for(lambda: "loaded" not in reasons(live), "the bundle", SECONDS)
            with load(live) as shots:
                wait_for(lambda: shots.codes()["archive_unavailable"] > 3, "refused photos", SECONDS)
                assert shots.answered() == []
                remount(disk, "rw")
                wait_for_verdicts(shots, 10)
            assert reasons(live) == ""
        found = check(shots, disk / "archive")
    drill_record(
        fault="The archive's disk is read-only at start",
        provoked="the service is started on it; then it is made writable under load",
        expected="it starts, red with the reason, and answers 503; then verdicts without a restart",
        seen=found,
    )


def test_database_locked_by_another_process(
    tiny_bundles: Path, tmp_path: Path, drill_record: DrillRecord
) -> None:
    file = tmp_path / "inspections.sqlite"
    with serving(tiny_bundles, archive=tmp_path, environment=SETTINGS) as live, load(live) as shots:
        other = sqlite3.connect(file, isolation_level=None, timeout=SECONDS, check_same_thread=False)
        said = fails_and_heals(
            live, shots, lambda: other.execute("BEGIN IMMEDIATE"), lambda: other.execute("ROLLBACK")
        )
        other.close()
    assert "locked" in said
    drill_record(
        fault="The archive's database is locked",
        provoked="another process begins to write to it under load, and gives it back later",
        expected=EXPECTED,
        seen=check(shots, tmp_path),
    )


def test_database_removed_under_way(tiny_bundles: Path, tmp_path: Path, drill_record: DrillRecord) -> None:
    aside = tmp_path / "aside"
    aside.mkdir()
    names = ("inspections.sqlite", "inspections.sqlite-wal", "inspections.sqlite-shm")
    archive = tmp_path / "archive"
    with serving(tiny_bundles, archive=archive, environment=SETTINGS) as live, load(live) as shots:
        wait_for_verdicts(shots, 10)
        for name in names:
            os.rename(archive / name, aside / name)
        wait_for(lambda: shots.codes()["archive_unavailable"] > 0, "a photo that is not recorded", SECONDS)
        wait_for_verdicts(shots, len(shots.answered()) + 10)
        assert reasons(live) == ""
    recorded = set()
    for file in (aside / names[0], archive / names[0]):
        assert integrity(file) == "ok"
        with sqlite3.connect(file) as database:
            recorded |= {row[0] for row in database.execute("SELECT id FROM inspections")}
        database.close()
    assert {shot.answer["id"] for shot in shots.answered()} <= recorded
    drill_record(
        fault="The archive's database is gone",
        provoked="its files are moved away under load",
        expected="503 until a new one is made, within seconds; every verdict is in the old one or the new",
        seen=seen(shots, len(recorded)),
    )


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    yield from postgres_server()


def test_postgresql_stopped_and_started(
    tiny_bundles: Path, tmp_path: Path, postgres: Postgres, drill_record: DrillRecord
) -> None:
    settings = {**SETTINGS, "GLINT_DATABASE_URL": postgres.url}
    with serving(tiny_bundles, archive=tmp_path, environment=settings) as live, load(live) as shots:
        fails_and_heals(live, shots, postgres.stop, postgres.start)
    drill_record(
        fault="PostgreSQL is gone",
        provoked="the server is stopped under load as by a power failure, and started again",
        expected=EXPECTED,
        seen=seen(shots, check_nothing_lost(shots, postgres.url, tmp_path / "photos")),
    )


def test_s3_store_gone_and_back(
    tiny_bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drill_record: DrillRecord
) -> None:
    moto = pytest.importorskip("moto.server")
    port = free_port()
    settings = {
        **SETTINGS,
        "GLINT_PHOTO_STORE": "s3://glint/photos",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "drill",
        "AWS_SECRET_ACCESS_KEY": "drill",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    # The objects outlive the server: they are kept in this process.
    servers = [moto.ThreadedMotoServer(port=port), moto.ThreadedMotoServer(port=port)]
    servers[0].start()
    boto3.resource("s3").Bucket("glint").create()
    with serving(tiny_bundles, archive=tmp_path, environment=settings) as live, load(live, 2) as shots:
        fails_and_heals(live, shots, servers[0].stop, servers[1].start)
        answered = shots.answered()
        for shot in [answered[0], answered[-1]]:
            assert live.get(f"/inspections/{shot.answer['id']}/image") == (200, shot.photo.data)
    servers[1].stop()
    assert not (tmp_path / "photos").exists()
    with sqlite3.connect(tmp_path / "inspections.sqlite") as database:
        [[rows]] = database.execute("SELECT count(*) FROM inspections")
    database.close()
    drill_record(
        fault="The object store is gone",
        provoked="an S3 server is stopped under load, and started again",
        expected=EXPECTED,
        seen=seen(shots, rows),
    )
