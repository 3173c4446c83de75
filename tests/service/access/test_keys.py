"""API keys: made, kept as hashes, listed, revoked, and followed by a running service."""

import json
import stat
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from models.errors import UsageError
from service.access.commands import add_key, revoke_key
from service.access.errors import KeysError
from service.access.keyfile import read_keys
from service.access.ring import LOOK_AGAIN_SECONDS, KeyRing
from service.cli import app


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def glint(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["keys", *(str(argument) for argument in arguments)])


def until(ring: KeyRing, key: str, wanted: bool) -> float:
    """Seconds until the ring takes the key, or does not any more."""
    begun = time.monotonic()
    while (ring.holder_of(key) is not None) != wanted:
        assert time.monotonic() - begun < 5.0
        time.sleep(0.01)
    return time.monotonic() - begun


def test_a_key_is_printed_once_and_only_its_hash_is_kept(file: Path) -> None:
    added = glint("add", "--role", "camera", "--name", "line3", "--keys", file)
    assert added.exit_code == 0, added.output
    key = added.stdout.strip()
    assert key.startswith("glint_")
    assert len(key) >= 6 + 43  # 256 bits in base64
    assert key not in file.read_text()
    listed = glint("list", "--keys", file).stdout
    assert "line3" in listed
    assert "camera" in listed
    assert key not in listed
    record = read_keys(file).holder_of(key)
    assert record is not None
    assert (record.name, record.role) == ("line3", "camera")


def test_two_keys_are_never_the_same_and_the_file_is_its_owners_only(file: Path) -> None:
    keys = {add_key(file, "line3", "camera")[0] for _ in range(5)}
    assert len(keys) == 5
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("wrong", ["", "glint_", "x", "ß", "glint_" + "A" * 43])
def test_nothing_but_a_key_is_a_key(file: Path, wrong: str) -> None:
    key, _ = add_key(file, "line3", "camera")
    table = read_keys(file)
    assert table.holder_of(wrong) is None
    assert table.holder_of(key[:-1]) is None
    assert table.holder_of(key + "A") is None
    assert table.holder_of(table.keys[0].sha256) is None


def test_a_revoked_key_stays_listed_and_is_not_valid(file: Path) -> None:
    key, key_id = add_key(file, "line3", "camera")
    other, _ = add_key(file, "line4", "camera")
    assert glint("revoke", key_id, "--keys", file).exit_code == 0
    table = read_keys(file)
    assert table.holder_of(key) is None
    assert table.holder_of(other) is not None
    revoked = table.keys[0].revoked
    assert revoked is not None
    assert revoke_key(file, key_id).revoked == revoked
    assert f"{revoked:%Y-%m-%d %H:%M}" in glint("list", "--keys", file).stdout


def test_an_id_that_is_not_there_cannot_be_revoked(file: Path) -> None:
    add_key(file, "line3", "camera")
    with pytest.raises(KeysError, match="has no key 'nobody'"):
        revoke_key(file, "nobody")


@pytest.mark.parametrize("name", ["", "../x", "a\nb", "-a", "x" * 65, "[bold]"])
def test_a_name_that_would_not_be_read_back_is_refused(file: Path, name: str) -> None:
    with pytest.raises(UsageError):
        add_key(file, name, "camera")
    assert not file.exists()


def test_keys_that_are_made_at_the_same_time_are_all_kept(file: Path) -> None:
    threads = [threading.Thread(target=add_key, args=(file, f"line{n}", "camera")) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {record.name for record in read_keys(file).keys} == {f"line{n}" for n in range(8)}


def test_a_broken_file_is_named_and_never_overwritten(file: Path) -> None:
    add_key(file, "line3", "camera")
    broken = file.read_text().replace("camera", "boss")
    file.write_text(broken)
    with pytest.raises(KeysError, match=r"keys\.0\.role"):
        add_key(file, "line4", "camera")
    assert file.read_text() == broken


def test_an_error_about_the_file_does_not_show_what_is_in_it(file: Path) -> None:
    file.write_text('{"keys": [{"key": "glint_secret"}]}')
    with pytest.raises(KeysError) as error:
        read_keys(file)
    assert "glint_secret" not in str(error.value)


def test_an_id_that_is_there_twice_is_refused(file: Path) -> None:
    add_key(file, "line3", "camera")
    raw = json.loads(file.read_text())
    file.write_text(json.dumps({**raw, "keys": raw["keys"] * 2}))
    with pytest.raises(KeysError, match="twice"):
        read_keys(file)


def test_a_ring_does_not_start_without_its_file(file: Path) -> None:
    with pytest.raises(KeysError, match="glint keys add"):
        KeyRing(file)


def test_a_ring_takes_new_keys_and_drops_revoked_ones_within_two_seconds(file: Path) -> None:
    add_key(file, "line3", "camera")
    ring = KeyRing(file)
    key, key_id = add_key(file, "line4", "camera")
    assert until(ring, key, True) < 2.0
    revoke_key(file, key_id)
    assert until(ring, key, False) < 2.0
    assert ring.problem == ""


@pytest.mark.parametrize("fault", ["broken", "gone"])
def test_a_ring_keeps_the_last_whole_table_and_says_what_is_wrong(
    file: Path, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    key, _ = add_key(file, "line3", "camera")
    ring = KeyRing(file)
    whole = file.read_text()
    file.unlink() if fault == "gone" else file.write_text(whole[:-20])
    time.sleep(LOOK_AGAIN_SECONDS + 0.05)
    assert str(file) in ring.problem
    assert ring.holder_of(key) is not None
    assert str(file) in caplog.text
    file.write_text(whole)
    time.sleep(LOOK_AGAIN_SECONDS + 0.05)
    assert ring.problem == ""


def test_a_ring_without_a_valid_key_lets_nobody_in_and_says_so(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key, key_id = add_key(file, "line3", "camera")
    revoke_key(file, key_id)
    assert KeyRing(file).holder_of(key) is None
    assert "every request will be refused" in caplog.text
