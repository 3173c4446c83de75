"""The folder of photos while several write and remove in it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from service.archive.store import LocalPhotoStore

_ROUNDS = 300


def test_a_folder_that_is_removed_as_empty_meanwhile_fails_no_write(tmp_path: Path) -> None:
    store = LocalPhotoStore(tmp_path / "photos")

    def write_and_remove(name: str) -> None:
        for number in range(_ROUNDS):
            path = f"2026-11-21/20/7/{name}{number}.jpg"
            store.write(path, b"a photo")
            assert store.read(path) == b"a photo"
            store.delete(path)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write_and_remove, name) for name in "abcd"]:
            done.result()
    store.write("2026-11-21/20/7/kept.jpg", b"a photo")
    assert [path.name for path in tmp_path.rglob("*.*")] == ["kept.jpg"]
