"""Reads a data set of photos: recognises its layout, opens every photo, and accounts for every file."""

from pathlib import Path

from models.errors import DatasetError
from training.data.folders import has_clean_folder, is_mvtec, list_class_folders, list_flat, list_mvtec
from training.data.listing import Listing, has_photos, is_clutter
from training.data.reading import read_entries
from training.data.samples import Dataset
from training.data.tables import add_groups, find_tables, list_table

_LAYOUTS = (
    "Arrange the photos as class folders (`good/`, `scratched/`, ...), as MVTec AD (`train/good/`, "
    "`test/<class>/`), in one folder with the class in the file name (`scratched_012.jpg`), or name them in "
    "a CSV with the columns `file,label`."
)


def read_dataset(root: Path, *, white_level: int = 65535, progress: bool = True) -> Dataset:
    """Read the data set at `root`.

    Recognised by themselves, in this order: MVTec AD, class folders with a clean class, a CSV with `file` and
    `label` (`root` may be the CSV itself), class folders without one, a flat folder of photos. `groups.csv`
    (`file,group`) in `root` is read for every layout of folders.

    Every photo is decoded as the service would decode it. Whatever cannot be used is in `Dataset.skipped`
    with the reason; hidden files and clutter (Thumbs.db, README*, LICENSE*, *.txt, *.md) are passed over.
    Photos with equal bytes share a group, and are left out if their labels differ.

    Args:
        root: the folder, or a CSV.
        white_level: the value that means white in 16-bit photos, 255..65535.
        progress: show a progress bar on stderr.

    Raises:
        DatasetError: when `root` is missing or is neither a folder nor a CSV, when a table in it cannot be
            understood, when the name of a folder of photos cannot be that of a class, or when not one photo
            can be read.
    """
    listing = _list(root)
    folder = root if root.is_dir() else root.parent
    if not listing.entries:
        raise DatasetError(f"{root} holds no photos{_first_reason(listing)}.", _LAYOUTS)
    dataset = read_entries(folder, listing, white_level=white_level, progress=progress)
    if not dataset.samples:
        first = dataset.skipped[0]
        raise DatasetError(
            f"None of the {len(listing.entries)} photos in {root} ({dataset.layout}) can be used; the first, "
            f"{first.name}: {first.reason}",
            "Look at the files with an image viewer, and copy them again from the camera.",
        )
    return dataset


def _list(root: Path) -> Listing:
    """Recognise the layout and list what it names."""
    if root.is_file() and root.suffix.lower() == ".csv":
        return list_table(root)
    if not root.is_dir():
        found = "is a file, but no CSV" if root.exists() else "does not exist"
        raise DatasetError(f"{root} {found}.", "Name the folder of photos, or a CSV with `file,label`.")
    try:
        paths = sorted(root.iterdir())
    except OSError as error:
        raise DatasetError(f"{root} cannot be opened: {error.strerror}.", "Check its permissions.") from error
    if is_mvtec(root):
        return add_groups(list_mvtec(root), root)
    if has_clean_folder(root):
        return add_groups(list_class_folders(root), root)
    tables = find_tables(root)
    if len(tables) > 1:
        names = ", ".join(table.name for table in tables)
        raise DatasetError(f"{root} holds several tables: {names}.", f"Name one of them: {tables[0]}.")
    if tables:
        return list_table(tables[0])
    if any(path.is_dir() and not is_clutter(path) and has_photos(path) for path in paths):
        return add_groups(list_class_folders(root), root)
    return add_groups(list_flat(root), root)


def _first_reason(listing: Listing) -> str:
    if not listing.skipped:
        return ""
    first = listing.skipped[0]
    return f" ({len(listing.skipped)} files were left out; the first, {first.name}: {first.reason})"
