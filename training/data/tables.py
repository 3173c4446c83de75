"""CSV files: the layout `file,label[,mask][,group][,split]`, and `groups.csv` beside folders of photos."""

import csv
import io
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import cast

from models.errors import DatasetError
from training.data.listing import Entry, Found, Listing, label_of, name_of
from training.data.samples import Prescription, Skipped

GROUPS = "groups.csv"

_SPLITS = {
    "": None,
    "train": "train",
    "calibration": "calibration",
    "val": "calibration",
    "valid": "calibration",
    "validation": "calibration",
    "test": "test",
}


def find_tables(root: Path) -> list[Path]:
    """The CSV files in `root` that have the columns `file` and `label`."""
    csvs = sorted(path for path in root.iterdir() if path.suffix.lower() == ".csv" and path.is_file())
    return [path for path in csvs if path.name != GROUPS and _is_table(path)]


def list_table(table: Path) -> Listing:
    """List the photos that a CSV names; paths in it are relative to its folder.

    A label `good|ok|clean|normal|free` means clean. `split` is `train`, `calibration` (or `val`, `valid`,
    `validation`), `test`, or empty for a photo that may go anywhere. A table that names training photos
    but none for calibration and leaves none free lends some of the training photos to calibration.

    Raises:
        DatasetError: when it is no CSV with the columns `file` and `label`.
    """
    columns, rows = _read(table)
    if not {"file", "label"} <= set(columns):
        raise DatasetError(
            f"{table} has the columns {', '.join(columns) or '(none)'}; `file` and `label` are needed.",
            "Begin it with the line `file,label` (and `mask`, `group`, `split` if there are any).",
        )
    found = Found(table.parent)
    seen: dict[tuple[str, str], int] = {}
    for line, row in rows:
        entry = _entry(found, f"{table.name}, line {line}", row)
        if entry is None:
            continue
        first = seen.setdefault((entry.name, entry.label), line)
        if first == line:
            found.entries.append(entry)
        else:
            found.skipped.append(Skipped(f"{table.name}, line {line}", f"{entry.name} was on line {first}"))
    hints = _lend_to_calibration(found, table.name)
    return found.listing(f"table {table.name}", hints)


def add_groups(listing: Listing, root: Path) -> Listing:
    """Give the photos the groups that `groups.csv` in `root` names, if there is one.

    Raises:
        DatasetError: when it cannot be read, names a photo twice, or names none of the photos. To go on
            without it could put near-duplicates on both sides of a split.
    """
    path = root / GROUPS
    if not path.is_file():
        return listing
    groups = _read_groups(path)
    names = {entry.name for entry in listing.entries}
    known = names & groups.keys()
    if not known:
        raise DatasetError(
            f"{path} names none of the photos.",
            "Give `file` as the path from the folder that holds groups.csv, such as `good/001.jpg`.",
        )
    entries = tuple(replace(entry, group=groups.get(entry.name, "")) for entry in listing.entries)
    left_out = {skipped.name for skipped in listing.skipped}
    missing = sorted(groups.keys() - names - left_out)
    skipped = tuple(Skipped(name, f"named in {GROUPS}, but there is no such photo") for name in missing)
    hints = listing.hints
    if len(names) > len(known):
        hints += (f"{len(names) - len(known)} photos are not in {GROUPS}; each counts as its own group.",)
    return Listing(listing.layout, entries, listing.skipped + skipped, hints)


def _read_groups(path: Path) -> dict[str, str]:
    columns, rows = _read(path)
    if not {"file", "group"} <= set(columns):
        raise DatasetError(
            f"{path} has the columns {', '.join(columns) or '(none)'}; `file` and `group` are needed.",
            "Begin it with the line `file,group`, or remove it if there are no groups.",
        )
    groups: dict[str, str] = {}
    for line, row in rows:
        name, group = PurePosixPath(row["file"].replace("\\", "/")).as_posix(), row["group"]
        if groups.setdefault(name, group) != group:
            raise DatasetError(
                f"{path}, line {line}, puts {name} into a second group.", "Give each photo one group."
            )
    return groups


def _entry(found: Found, where: str, row: dict[str, str]) -> Entry | None:
    """The photo that a row names, or None when the row is left out."""

    def leave_out(reason: str) -> None:
        found.skipped.append(Skipped(where, reason))

    if not row["file"]:
        leave_out("names no file")
        return None
    path, odd = _locate(found, row["file"])
    if odd:
        leave_out(f"{row['file']}: {odd}")
        return None
    split = row.get("split", "").lower()
    if split not in _SPLITS:
        leave_out(f"{row['file']}: unknown split {split!r}; use train, calibration, test, or leave it empty")
        return None
    try:
        label = label_of(row["label"])
    except DatasetError as error:
        leave_out(f"{row['file']}: {error}")
        return None
    mask = _mask(found, where, row.get("mask", ""))
    prescribed = cast("Prescription | None", _SPLITS[split])
    return Entry(path, name_of(path, found.root), label, mask, row.get("group", ""), prescribed)


def _mask(found: Found, where: str, cell: str) -> Path | None:
    if not cell:
        return None
    path, odd = _locate(found, cell)
    if odd:
        found.skipped.append(Skipped(where, f"mask {cell}: {odd}; the photo is kept without a mask"))
        return None
    return path


def _locate(found: Found, cell: str) -> tuple[Path, str]:
    """The file that a cell names, and why it cannot be used; that is empty if it can."""
    try:
        path = _inside(found.root, cell)
        if not path.exists() and not path.is_symlink():
            return path, "there is no such file"
        return path, found.oddity(path) or ("" if path.is_file() else "not a file")
    except (OSError, ValueError):
        # Such as a name that is too long for the file system, or holds a zero byte.
        return found.root, "not a usable path"


def _inside(root: Path, cell: str) -> Path:
    relative = PurePosixPath(cell.replace("\\", "/"))
    path = root / relative
    # Resolved here, so that one photo has one name however the table spells it.
    if relative.is_absolute() or ".." in relative.parts:
        whole = path.resolve()
        path = root / whole.relative_to(root.resolve()) if whole.is_relative_to(root.resolve()) else whole
    return path


def _is_table(path: Path) -> bool:
    try:
        return {"file", "label"} <= set(_read(path)[0])
    except DatasetError:
        return False


def _lend_to_calibration(found: Found, table: str) -> list[str]:
    prescribed = {entry.split for entry in found.entries}
    if "train" not in prescribed or prescribed & {"calibration", None}:
        return []
    found.entries = [replace(e, split="fit") if e.split == "train" else e for e in found.entries]
    return [f"{table} names no photos for calibration; a part of those for training is used for it."]


def _read(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The columns (lower case) of a CSV and its rows with their line numbers; blank rows are passed over."""
    remedy = "Save it as CSV with commas, encoded as UTF-8."
    try:
        text = path.read_bytes().decode("utf-8-sig")
        header = text.split("\n", 1)[0]
        delimiter = max(",;\t", key=header.count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        columns = [cell.strip().lower() for cell in next(reader, [])]
        rows = []
        for cells in reader:
            padded = [cell.strip() for cell in cells] + [""] * len(columns)
            if any(padded):
                rows.append((reader.line_num, dict(zip(columns, padded, strict=False))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read as CSV: {error}.", remedy) from error
    return columns, rows
