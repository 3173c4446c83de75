"""The archive's disk or database fails under load: photos get 503 until it is back, and nothing is lost."""

import itertools
import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

from tests.drills.evidence import check_nothing_lost, integrity
from tests.drills.load import PHOTOS, Answered, Load
from tests.drills.postgres import Postgres, postgres_server
from tests.service.live import Live, free_port, serving

SECONDS = 30.0
SETTINGS = {"GLINT_ARCHIVE_FREE_BYTES": "0"}

pytestmark = pytest.mark.drill
mounting = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system takes root")


@contextmanager
def small_disk(folder: Path, megabytes: int = 16) -> Iterator[Path]:
    """A file system of its own, in memory."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "glint-drill", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, how: str) -> None:
    """Make a mounted file system read-only or writable; it is busy while a file is being written."""

    def done() -> bool:
        command = ["mount", "-o", f"remount,{how}", str(folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    wait_until(done)


def wait_until(holds: Callable[[], bool]) -> None:
    last = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < last, "it did not come to hold in time"
        time.sleep(0.02)


def reasons(live: Live) -> str:
    status, body = live.get("/readyz")
    return "" if status == 200 else " ".join(json.loads(body)["reasons"])


def fails_and_heals(live: Live, load: Load, fail: Callable[[], object], heal: Callable[[], object]) -> str:
    """Provoke a fault under load and mend it; what /readyz said meanwhile."""
    wait_until(lambda: len(load.answers) > 10)
    fail()
    wait_until(lambda: load.codes["archive_unavailable"] > 3)
    wait_until(lambda: reasons(live) != "")
    said = reasons(live)
    answered = len(load.answers)
    time.sleep(1.5)
    assert len(load.answers) == answered, "a photo was answered that could not be recorded"
    heal()
    wait_until(lambda: reasons(live) == "")
    wait_until(lambda: len(load.answers) > answered + 10)
    assert all(problem["verdict"] == "invalid" for problem in load.problems)
    assert set(load.codes) == {"archive_unavailable"}
    return said


def check(answers: list[Answered], folder: Path) -> None:
    assert all(answer.verdict == answer.expected for answer in answers)
    check_nothing_lost(answers, f"sqlite:///{folder / 'inspections.sqlite'}", folder / "photos")
    assert integrity(folder / "inspections.sqlite") == "ok"


@mounting
def test_disk_full(tiny_bundles: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as folder:
        filler = folder / "filler"

        def fill() -> None:
            with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
                any(file.write(bytes(65536)) == 0 for _ in itertools.count())

        with serving(tiny_bundles, archive=folder, environment=SETTINGS) as live, Load(live.port) as load:
            said = fails_and_heals(live, load, fill, filler.unlink)
        assert "No space left" in said or "disk is full" in said or "disk I/O" in said
        check(load.answers, folder)


@mounting
def test_disk_of_the_photos_turns_read_only(tiny_bundles: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=64) as disk:
        settings = {**SETTINGS, "GLINT_PHOTO_STORE": str(disk)}
        folder = tmp_path / "archive"
        with serving(tiny_bundles, archive=folder, environment=settings) as live, Load(live.port) as load:
            said = fails_and_heals(live, load, lambda: remount(disk, "ro"), lambda: remount(disk, "rw"))
        assert "Read-only file system" in said
        check_nothing_lost(load.answers, f"sqlite:///{folder / 'inspections.sqlite'}", disk)


@mounting
def test_disk_that_is_read_only_at_start(tiny_bundles: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", megabytes=64) as disk:
        remount(disk, "ro")
        with serving(tiny_bundles, archive=disk / "archive", environment=SETTINGS, ready=False) as live:
            wait_until(lambda: "Read-only file system" in reasons(live))
            wait_until(lambda: "loaded" not in reasons(live))
            with Load(live.port) as load:
                wait_until(lambda: load.codes["archive_unavailable"] > 3)
                assert load.answers == []
                remount(disk, "rw")
                wait_until(lambda: len(load.answers) > 10)
            assert reasons(live) == ""
        check(load.answers, disk / "archive")


def test_database_locked_by_another_process(tiny_bundles: Path, tmp_path: Path) -> None:
    file = tmp_path / "inspections.sqlite"
    with serving(tiny_bundles, archive=tmp_path, environment=SETTINGS) as live, Load(live.port) as load:
        other = sqlite3.connect(file, isolation_level=None, timeout=SECONDS, check_same_thread=False)
        said = fails_and_heals(
            live, load, lambda: other.execute("BEGIN IMMEDIATE"), lambda: other.execute("ROLLBACK")
        )
        other.close()
    assert "locked" in said
    check(load.answers, tmp_path)


def test_database_removed_under_way(tiny_bundles: Path, tmp_path: Path) -> None:
    aside = tmp_path / "aside"
    aside.mkdir()
    names = ("inspections.sqlite", "inspections.sqlite-wal", "inspections.sqlite-shm")
    archive = tmp_path / "archive"
    with serving(tiny_bundles, archive=archive, environment=SETTINGS) as live, Load(live.port) as load:
        wait_until(lambda: len(load.answers) > 10)
        for name in names:
            os.rename(archive / name, aside / name)
        wait_until(lambda: load.codes["archive_unavailable"] > 0)
        answered = len(load.answers)
        wait_until(lambda: len(load.answers) > answered + 10)
        assert reasons(live) == ""
    recorded = set()
    for file in (aside / names[0], archive / names[0]):
        assert integrity(file) == "ok"
        with sqlite3.connect(file) as database:
            recorded |= {row[0] for row in database.execute("SELECT id FROM inspections")}
        database.close()
    assert {answer.id for answer in load.answers} <= recorded


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    yield from postgres_server()


def test_postgresql_stopped_and_started(tiny_bundles: Path, tmp_path: Path, postgres: Postgres) -> None:
    settings = {**SETTINGS, "GLINT_DATABASE_URL": postgres.url}
    with serving(tiny_bundles, archive=tmp_path, environment=settings) as live, Load(live.port) as load:
        fails_and_heals(live, load, postgres.stop, postgres.start)
    check_nothing_lost(load.answers, postgres.url, tmp_path / "photos")


def test_s3_store_gone_and_back(tiny_bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    with serving(tiny_bundles, archive=tmp_path, environment=settings) as live, Load(live.port, 2) as load:
        fails_and_heals(live, load, servers[0].stop, servers[1].start)
        for photo in [load.answers[0], load.answers[-1]]:
            sent = next(data for _, data, sha256 in PHOTOS if sha256 == photo.sha256)
            assert live.get(f"/inspections/{photo.id}/image") == (200, sent)
    servers[1].stop()
    assert not (tmp_path / "photos").exists()
