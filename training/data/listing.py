"""What a layout finds on disk, before any photo is opened."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from models.classes import CLEAN_NAMES, CLUTTER
from models.decision import CLEAN, RESERVED_CLASSES
from models.errors import DatasetError
from models.formats import SUFFIXES
from models.manifest import NAME_PATTERN
from training.data.samples import Prescription, Skipped


@dataclass(frozen=True)
class Entry:
    """A photo that a layout names, not yet opened; fields as in `Sample`."""

    path: Path
    name: str
    label: str
    mask: Path | None = None
    group: str = ""
    split: Prescription | None = None


@dataclass(frozen=True)
class Listing:
    """The photos a layout names, what it leaves out, and remarks for the user."""

    layout: str
    entries: tuple[Entry, ...]
    skipped: tuple[Skipped, ...] = ()
    hints: tuple[str, ...] = ()


@dataclass
class Found:
    """Collects what a layout comes upon."""

    root: Path
    entries: list[Entry] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def skip(self, path: Path, reason: str) -> None:
        """Leave a file or folder out."""
        self.skipped.append(Skipped(name_of(path, self.root) + ("/" if path.is_dir() else ""), reason))

    def contents(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """The files and the folders in `folder`, by name; clutter is passed over, oddities are left out."""
        try:
            paths = sorted(folder.iterdir())
        except OSError as error:
            self.skip(folder, f"cannot be opened: {error.strerror}")
            return [], []
        files: list[Path] = []
        folders: list[Path] = []
        for path in paths:
            if is_clutter(path):
                continue
            odd = self.oddity(path)
            if odd:
                self.skip(path, odd)
            else:
                (folders if path.is_dir() else files).append(path)
        return files, folders

    def oddity(self, path: Path) -> str:
        """Why this file or folder cannot be taken as it is; empty if it can."""
        if not _is_utf8(path.name):
            return "its name is not valid UTF-8; rename it"
        if path.is_symlink() and not path.exists():
            return "a link that leads nowhere"
        if not path.resolve().is_relative_to(self.root.resolve()):
            return "leads out of the data set's folder"
        if not path.is_dir() and not path.is_file():
            return "not a regular file"
        return ""

    def photos(self, folder: Path) -> list[Path]:
        """The photo files directly in `folder`; whatever else is there is left out with the reason."""
        files, folders = self.contents(folder)
        for path in folders:
            self.skip(path, "a folder inside a class folder; only photos directly in the class folder count")
        return self.only_photos(files)

    def only_photos(self, files: Iterable[Path]) -> list[Path]:
        """The files whose ending is that of a photo; the others are left out."""
        photos = []
        for path in files:
            if path.suffix.lower() in SUFFIXES:
                photos.append(path)
            else:
                self.skip(path, f"not a photo; photos end in {', '.join(SUFFIXES)}")
        return photos

    def listing(self, layout: str, hints: Iterable[str] = ()) -> Listing:
        """What was found, by name."""
        entries = sorted(self.entries, key=lambda entry: entry.name)
        return Listing(layout, tuple(entries), tuple(self.skipped), tuple(hints))


def name_of(path: Path, root: Path) -> str:
    """The path relative to the root with forward slashes; bytes that are not UTF-8 are shown as `?`."""
    inside = path.relative_to(root) if path.is_relative_to(root) else path
    return inside.as_posix().encode("utf-8", errors="replace").decode()


def is_clutter(path: Path) -> bool:
    """Whether this is a file that lies about in every folder and is no part of a data set."""
    return CLUTTER.fullmatch(path.name) is not None


def has_photos(folder: Path) -> bool:
    """Whether a file with the ending of a photo lies directly in `folder`."""
    try:
        return any(p.suffix.lower() in SUFFIXES and not is_clutter(p) for p in folder.iterdir())
    except OSError:
        return False


def label_of(name: str) -> str:
    """The label that a class folder or a table's label means.

    Raises:
        DatasetError: when it cannot be the name of a class.
    """
    if name.lower() in CLEAN_NAMES:
        return CLEAN
    if name.lower() in RESERVED_CLASSES:
        raise DatasetError(
            f"The class name {name!r} is reserved for verdicts.", "Name the class after the defect."
        )
    # Class names stand in HTTP headers, file names and the archive's settings.
    if not re.fullmatch(NAME_PATTERN, name):
        raise DatasetError(
            f"{name!r} cannot be the name of a class.",
            "Use 1 to 64 of the characters a-z, A-Z, 0-9, `.`, `_` and `-`, the first a letter or digit.",
        )
    return name


def _is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
