"""Files that appear under their name whole, and that a power cut does not take back."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file under a temporary name beside `path`: the block is given that name.

    When the block ends well, the file is synced, renamed to `path`, and the folder synced. When it raises,
    the temporary file is removed and `path` stays as it was. One writer at a time.
    """
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        yield partial
        _sync(partial)
        partial.replace(path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):  # What went wrong before says more.
            partial.unlink()
        raise


def write_whole(path: Path, data: bytes, *, mode: int = 0o666, owner: tuple[int, int] | None = None) -> None:
    """Replace `path` by `data`, whole or not at all; see `replacing`.

    Args:
        mode: the file's permissions, less the process's umask; never wider on the way.
        owner: user and group to give the file to; None leaves it with the process's.
    """
    with replacing(path) as partial:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(handle, "wb") as stream:
            if owner is not None:
                os.fchown(handle, *owner)
            stream.write(data)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: without it a power cut may take a new name back."""
    _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
