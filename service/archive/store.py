"""Where photos and overlays lie: a local folder, or an object store by URL."""

import os
import posixpath
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from models.files import sync_folder
from service.errors import SettingsError

SUFFIXES = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/bmp": ".bmp",
    "image/tiff": ".tif",
    "image/webp": ".webp",
}
_PARTIAL = ".partial"
_PROBE = "probe"
# How often a folder may vanish under a file that is being made: each time somebody else removed the last one.
_TRIES = 100


def path_of(inspection_id: str, time: datetime, suffix: str) -> str:
    """A picture's path in the store, by day, hour and id; nothing of it comes from a user."""
    return f"{time:%Y-%m-%d/%H}/{inspection_id[0]}/{inspection_id}{suffix}"


class PhotoStore:
    """An object store, such as S3, through fsspec. Objects appear whole or not at all."""

    def __init__(self, fs: Any, root: str) -> None:
        self._fs = fs
        self._root = root.rstrip("/")

    def write(self, path: str, data: bytes) -> None:
        """Keep `data` at `path`, durable when this returns. Raises what the store raises, mostly OSError."""
        self._fs.pipe_file(self._full(path), data)

    def read(self, path: str) -> bytes:
        """The bytes at `path`.

        Raises:
            FileNotFoundError: when there are none.
        """
        return bytes(self._fs.cat_file(self._full(path)))

    def delete(self, path: str) -> None:
        """Remove what is at `path`, if anything."""
        with suppress(FileNotFoundError):
            self._fs.rm_file(self._full(path))

    def probe(self, writer: str, size: int) -> None:
        """Write and remove a file of `size` bytes, to see whether a photo could be written."""
        self.write(f"{_PROBE}-{writer}", bytes(size))
        self.forget(writer)

    def forget(self, writer: str) -> None:
        """Remove what a killed service may have left of its last probe."""
        for name in (f"{_PROBE}-{writer}", f".{_PROBE}-{writer}{_PARTIAL}"):
            self.delete(name)

    def paths_between(self, first: datetime, last: datetime) -> Iterator[str]:
        """The paths of all pictures of the hours from `first` to `last`, half-written ones included."""
        low, high = f"{first:%Y-%m-%d/%H}", f"{last:%Y-%m-%d/%H}"
        for day in self._names(""):
            if low[:10] <= day <= high[:10]:
                for hour in self._names(day):
                    if low <= f"{day}/{hour}" <= high:
                        found = self._fs.find(self._full(f"{day}/{hour}"))
                        yield from (posixpath.relpath(path, self._root) for path in found)

    def free_bytes(self) -> int | None:
        """Free space; None where nobody can tell."""
        return None

    def _names(self, folder: str) -> list[str]:
        self._fs.invalidate_cache()
        try:
            found = self._fs.ls(self._full(folder), detail=False)
        except FileNotFoundError:
            return []
        return sorted(posixpath.basename(str(path).rstrip("/")) for path in found)

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}".rstrip("/")


class LocalPhotoStore(PhotoStore):
    """A local folder. A file appears under its name once it is whole and on the disk."""

    def __init__(self, folder: Path) -> None:
        super().__init__(LocalFileSystem(), str(folder.absolute()))

    def write(self, path: str, data: bytes) -> None:
        """Write under a temporary name, sync, rename, sync the folder."""
        target = Path(self._full(path))
        partial = target.with_name(f".{target.name}{_PARTIAL}")
        try:
            handle = self._create(partial)
            try:
                with open(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(partial, target)
            except BaseException:
                with suppress(OSError):
                    partial.unlink()
                raise
            sync_folder(target.parent)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}: {target.parent}") from error

    def delete(self, path: str) -> None:
        """Remove a file, and the folders that are empty then."""
        target = Path(self._full(path))
        target.unlink(missing_ok=True)
        with suppress(OSError):
            for folder in list(target.parents)[:3]:
                if folder == Path(self._root):
                    break
                folder.rmdir()

    def free_bytes(self) -> int | None:
        """Free space of the folder's disk, as far as the service's user may take it."""
        return free_bytes_at(Path(self._root))

    def _create(self, path: Path) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        # The folder is new, or was removed as empty a moment ago, and may be again before the file is in it.
        for _ in range(_TRIES):
            with suppress(FileNotFoundError):
                return os.open(path, flags, 0o644)
            # `mkdir` says that it exists when it is removed while that is looked into.
            with suppress(FileNotFoundError, FileExistsError):
                _make_folder(path.parent)
        return os.open(path, flags, 0o644)


def open_store(url: str) -> PhotoStore:
    """The store at a URL (`s3://bucket/prefix`) or in a local folder.

    Raises:
        SettingsError: when nothing can be stored there.
    """
    remedy = "Set GLINT_PHOTO_STORE to a folder or to s3://bucket/prefix."
    try:
        fs, root = url_to_fs(url, use_listings_cache=False) if "://" in url else (None, url)
    except ImportError as error:
        raise SettingsError(
            f"The photo store {_scheme(url)}:// needs a library that is not installed: {error}.",
            "For S3, install it with: pip install 'glint-inspection[s3]'",
        ) from error
    except ValueError as error:
        raise SettingsError(f"The photo store {_scheme(url)}:// is not known: {error}.", remedy) from error
    if fs is None or isinstance(fs, LocalFileSystem):
        return LocalPhotoStore(Path(root))
    return PhotoStore(fs, root)


def free_bytes_at(folder: Path) -> int | None:
    """Free space of a folder's disk; None while there is no such folder."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _scheme(url: str) -> str:
    return url.partition("://")[0]


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents, each durable in its own parent."""
    if not folder.exists():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)
