"""The layouts made of folders: class folders, MVTec AD, and a flat folder with the class in the file name."""

import re
from pathlib import Path

from models.classes import CLEAN_NAMES, MASKS
from models.decision import CLEAN
from models.errors import DatasetError
from training.data.listing import Entry, Found, Listing, has_photos, label_of, name_of
from training.data.samples import Prescription
from training.data.tables import GROUPS

SCRATCHED = "scratched"

_NEGATED = re.compile(r"(un|non?|not|without)[ _.-]?scratch", re.IGNORECASE)


def has_clean_folder(root: Path) -> bool:
    """Whether a folder named like a clean class (`good`, `ok`, ...) lies directly in `root`."""
    try:
        return any(path.name.lower() in CLEAN_NAMES and path.is_dir() for path in root.iterdir())
    except OSError:
        return False


def is_mvtec(root: Path) -> bool:
    """Whether `root` holds `train/good` or `test/good`."""
    return has_clean_folder(root / "train") or has_clean_folder(root / "test")


def list_class_folders(root: Path) -> Listing:
    """List `good|ok|clean|normal|free`, and every other folder as a defect class of its name.

    Masks lie in `masks/<class>/<stem>.png`.

    Raises:
        DatasetError: when a folder of photos has a name that no class can have.
    """
    found = Found(root)
    files, folders = found.contents(root)
    for path in files:
        if path.name != GROUPS:
            found.skip(path, "lies outside the class folders")
    for folder in folders:
        if folder.name.lower() != MASKS:
            _add_class(found, folder, masks=root / MASKS / folder.name, mask_suffix="", split=None)
    _skip_stray_masks(found, root / MASKS)
    return found.listing("class folders")


def list_mvtec(root: Path) -> Listing:
    """List `train/<class>`, `test/<class>`, with masks in `ground_truth/<class>/<stem>_mask.png`.

    `train` photos are for training and calibration only, clean `test` photos for testing only. Defects in
    `test` are shared out, so that the classifier has some to learn from, unless `train` holds defects itself.

    Raises:
        DatasetError: when a folder of photos has a name that no class can have.
    """
    found = Found(root)
    files, folders = found.contents(root)
    for path in files:
        if path.name != GROUPS:
            found.skip(path, "lies outside train and test")
    for folder in folders:
        if folder.name not in ("train", "test", "ground_truth"):
            found.skip(folder, "not a folder of the MVTec AD layout (train, test, ground_truth)")
    train = found.contents(root / "train")[1] if (root / "train").is_dir() else []
    test = found.contents(root / "test")[1] if (root / "test").is_dir() else []
    trains_on_defects = any(folder.name.lower() not in CLEAN_NAMES for folder in train)
    for folder in train + test:
        split: Prescription = "fit"
        if folder in test:
            clean = folder.name.lower() in CLEAN_NAMES
            split = "test" if clean or trains_on_defects else "lent"
        masks = root / "ground_truth" / folder.name
        _add_class(found, folder, masks=masks, mask_suffix="_mask", split=split)
    _skip_stray_masks(found, root / "ground_truth")
    return found.listing("MVTec AD")


def list_flat(root: Path) -> Listing:
    """List a folder of photos: `scratch` in the file name, in any case, means `scratched`; else clean.

    A name that may mean the opposite (`unscratched`, `no_scratch`) is left out rather than guessed at.
    """
    found = Found(root)
    files, folders = found.contents(root)
    for folder in folders:
        found.skip(folder, "a folder inside a flat folder of photos")
    files = [path for path in files if path.name != GROUPS]
    csvs = [path.name for path in files if path.suffix.lower() == ".csv"]
    for path in found.only_photos(files):
        if _NEGATED.search(path.stem):
            found.skip(path, "its name may mean scratched or the opposite; use class folders instead")
            continue
        label = SCRATCHED if "scratch" in path.stem.lower() else CLEAN
        found.entries.append(Entry(path, name_of(path, root), label))
    scratched = sum(entry.label == SCRATCHED for entry in found.entries)
    hints = [
        f"Flat folder: {scratched} photos with `scratch` in the file name are taken as defects, "
        f"all {len(found.entries) - scratched} others as clean."
    ]
    hints += [f"{name} was not read: it has no columns `file` and `label`." for name in csvs]
    return found.listing("flat folder, the class in the file name", hints)


def _add_class(
    found: Found, folder: Path, *, masks: Path, mask_suffix: str, split: Prescription | None
) -> None:
    try:
        label = label_of(folder.name)
    except DatasetError as error:
        if not has_photos(folder):
            found.skip(folder, f"not a class folder: {error.problem}")
            return
        # Left out, its defects would count as unknown ones, and one line among many would say so.
        raise DatasetError(
            f"The photos in {folder} have no class: {error.problem}", f"Rename the folder. {error.remedy}"
        ) from error
    for path in found.photos(folder):
        mask = masks / f"{path.stem}{mask_suffix}.png"
        usable = mask.is_file() and not found.oddity(mask)
        name = name_of(path, found.root)
        found.entries.append(Entry(path, name, label, mask if usable else None, split=split))


def _skip_stray_masks(found: Found, masks: Path) -> None:
    """Name the masks that belong to no photo: a mask with a misspelt name would be missed in silence."""
    if not masks.is_dir():
        return
    used = {entry.mask for entry in found.entries}
    # The masks of a class that is left out would bury the one line that says so.
    left_out = {Path(skipped.name).name for skipped in found.skipped if skipped.name.endswith("/")}
    files, folders = found.contents(masks)
    for folder in folders:
        if folder.name not in left_out:
            files += found.contents(folder)[0]
    for path in files:
        if path not in used:
            found.skip(path, "a mask for which there is no photo")
