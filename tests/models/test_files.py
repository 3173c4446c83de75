"""Files are replaced whole or not at all, and are durable once they are."""

import os
import stat
from pathlib import Path

import pytest

from models.files import replacing, write_whole


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_replaced_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    for text in (b"old", b"new"):
        write_whole(path, text)
        assert path.read_bytes() == text
    assert list(tmp_path.iterdir()) == [path]


def test_until_it_is_whole_the_old_one_stands(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
        assert partial.parent == tmp_path, "on another disk it could not be renamed"
        assert partial.name.startswith(".")
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError("no such column"), KeyboardInterrupt()])
def test_a_block_that_raises_leaves_the_old_one_and_no_rest(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as partial:
            partial.write_text("ne")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_may_raise_before_it_writes_anything(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at once"), replacing(tmp_path / "table.csv"):
        raise ValueError("at once")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.json"
    path.write_text("old")

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_synced_before_it_gets_its_name_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.json"
    synced = []
    true_fsync = os.fsync

    def note(handle: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(handle).st_mode), path.exists()))
        true_fsync(handle)

    monkeypatch.setattr(os, "fsync", note)
    write_whole(path, b"{}")
    assert synced == [(False, False), (True, True)]


def test_a_secret_is_never_readable_by_others(tmp_path: Path) -> None:
    """Not even what a killed process left under the temporary name."""
    path = tmp_path / "keys.json"
    (tmp_path / ".keys.json.partial").touch(0o666)
    write_whole(path, b"secret", mode=0o600)
    assert mode_of(path) == 0o600


def test_a_file_that_is_no_secret_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write_whole(tmp_path / "table.json", b"{}")
    assert mode_of(tmp_path / "table.json") == mode_of(tmp_path / "other")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_file_may_be_given_to_another_user(tmp_path: Path) -> None:
    write_whole(tmp_path / "keys.json", b"secret", owner=(65534, 65533))
    found = (tmp_path / "keys.json").stat()
    assert (found.st_uid, found.st_gid) == (65534, 65533)
