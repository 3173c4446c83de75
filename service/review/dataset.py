"""Writes the folder that `glint train` reads from what people said of inspections.

`good/` and a folder a class hold the photos as they were posted, `masks/<class>/` what was drawn on them, and
`groups.csv` keeps the photos of one part together, so that no part is on both sides of a split.
"""

import csv
import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from models.decision import ANOMALOUS, CLEAN
from models.errors import UsageError
from models.files import sync_folder
from service.archive.records import Record
from service.archive.store import SUFFIXES, PhotoStore
from service.errors import reason_of
from service.review.judgements import Judgement
from service.review.selection import Reviewed

GOOD = "good"
MASKS = "masks"
GROUPS = "groups.csv"
# Hidden, so that training passes over it.
ORIGINS = ".origins.csv"


@dataclass
class Written:
    """What came of an export.

    Attributes:
        photos: how many of each class folder, by its name.
        masks: how many masks.
        left_out: how many inspections were left out, by the reason.
        used: the id of the judgement by which each inspection went in, itself or as an equal photo, by the
            inspection's id.
    """

    photos: Counter[str] = field(default_factory=Counter)
    masks: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    used: dict[str, str] = field(default_factory=dict)


def write_dataset(
    reviewed: Sequence[Reviewed],
    store: PhotoStore,
    output: Path,
    *,
    unnamed: str,
    progress: Callable[[], None] = lambda: None,
) -> Written:
    """Write the data set; it appears under its name once it is whole and on the disk.

    Args:
        reviewed: what was judged, with what stands of it.
        store: where the photos and masks are.
        output: a folder that does not exist yet.
        unnamed: class folder for defects that nobody named.
        progress: called after each inspection.

    Raises:
        UsageError: when `output` exists already, nothing could be exported, or the store cannot be read.
        OSError: when the folder cannot be written.
    """
    if output.exists():
        raise UsageError(f"{output} exists already.", "Name a folder that does not exist yet.")
    with _appearing(output) as folder:
        written = Written(left_out=Counter(item.left_out for item in reviewed if item.left_out))
        writer = _Folder(folder, store, unnamed, written)
        for item in reviewed:
            if not item.left_out:
                writer.add(item)
            progress()
        if not written.used:
            raise UsageError(
                f"Nothing can be exported: {_counted(written.left_out) or 'no inspection was reviewed'}.",
                "Review inspections of the part on the station's page, or name another part.",
            )
        writer.finish()
    return written


class _Folder:
    """The folder while it is being written."""

    def __init__(self, folder: Path, store: PhotoStore, unnamed: str, written: Written) -> None:
        self._folder = folder
        self._store = store
        self._unnamed = unnamed
        self._written = written
        self._groups: list[tuple[str, str]] = []
        self._origins: list[tuple[str | None, ...]] = []
        self._seen: set[str] = set()

    def add(self, item: Reviewed) -> None:
        """Write a photo and its mask, unless the photo is gone, damaged, or here already."""
        record, judgement = item.record, item.judgement
        if record.image_sha256 in self._seen:
            self._written.left_out["the same photo again"] += 1
            # Its twin went in with the same label: nothing is lost when this one goes.
            self._written.used[record.id] = judgement.id
            return
        photo = self._read(record.photo)
        if photo is None:
            self._written.left_out["photo removed"] += 1
            return
        if hashlib.sha256(photo).hexdigest() != record.image_sha256:
            self._written.left_out["photo damaged in the store"] += 1
            return
        self._seen.add(record.image_sha256)
        folder = class_folder(judgement.label, self._unnamed)
        name = f"{record.id}{SUFFIXES[record.image_media_type]}"
        _write(self._folder / folder / name, photo)
        self._written.photos[folder] += 1
        self._written.used[record.id] = judgement.id
        self._add_mask(judgement, folder, record.id)
        self._note(f"{folder}/{name}", record, judgement)

    def finish(self) -> None:
        """Write the tables, and make the whole durable."""
        _write_csv(self._folder / GROUPS, ("file", "group"), self._groups)
        head = (
            "file",
            "inspection",
            "judgement",
            "operator",
            "time",
            "serial",
            "camera",
            "verdict",
            "bundle",
        )
        _write_csv(self._folder / ORIGINS, head, self._origins)
        for folder, _, _ in os.walk(self._folder):
            sync_folder(Path(folder))

    def _add_mask(self, judgement: Judgement, folder: str, stem: str) -> None:
        if judgement.mask is None:
            return
        mask = self._read(judgement.mask)
        if mask is not None:
            _write(self._folder / MASKS / folder / f"{stem}.png", mask)
            self._written.masks += 1

    def _note(self, file: str, record: Record, judgement: Judgement) -> None:
        group = f"serial:{record.serial}" if record.serial else f"inspection:{record.id}"
        self._groups.append((file, group))
        self._origins.append(
            (
                file,
                record.id,
                judgement.id,
                judgement.operator,
                _iso(judgement.time),
                record.serial,
                record.camera,
                record.verdict,
                record.bundle_version,
            )
        )

    def _read(self, path: str | None) -> bytes | None:
        if path is None:
            return None
        try:
            return self._store.read(path)
        except FileNotFoundError:
            return None
        except Exception as error:  # each kind of store fails with errors of its own
            raise UsageError(
                f"The photo store cannot be read: {reason_of(error)}.",
                "Check GLINT_PHOTO_STORE and what it needs to be reached; then export again.",
            ) from error


def class_folder(label: str | None, unnamed: str) -> str:
    """The folder of a label in the layout of class folders."""
    if label == CLEAN:
        return GOOD
    return unnamed if label in (None, ANOMALOUS) else str(label)


@contextmanager
def _appearing(output: Path) -> Iterator[Path]:
    """A hidden folder beside `output` that gets its name when the block ends well, and else goes."""
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        partial.rename(output)
        sync_folder(output.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _write_csv(path: Path, head: Sequence[str], rows: Sequence[tuple[str | None, ...]]) -> None:
    ordered = sorted(rows, key=lambda row: str(row[0]))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(ordered)
        file.flush()
        os.fsync(file.fileno())


def _counted(reasons: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
