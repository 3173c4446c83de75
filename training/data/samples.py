"""What a data set is: labelled photos, what was left out of it and why."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.decision import CLEAN
from models.errors import DatasetError

# Fewer good photos give neither PaDiM nor the limits anything to stand on.
MIN_CLEAN = 20

MASK_FORMATS = ("PNG", "BMP", "TIFF")

# What the data set itself says about where a photo may go. `fit`: train or calibration, never test.
# `lent`: a test photo, some of whose kind are lent to training and calibration (MVTec AD's defects).
Prescription = Literal["train", "calibration", "test", "fit", "lent"]


@dataclass(frozen=True)
class Sample:
    """One labelled photo that could be read.

    Attributes:
        path: where the file is.
        name: its path relative to the data set's root, with forward slashes.
        label: `clean`, or the name of a defect class.
        sha256: hex digest of the file's bytes.
        pixels_sha256: hex digest of the decoded photo, equal for files that differ in their bytes alone
            (metadata, compression without loss); empty if not known.
        height, width: pixels of the upright photo.
        bit_depth: bits per channel as encoded, 8 or 16.
        peak: the brightest value as encoded, 0..2**bit_depth - 1.
        mask: file that marks the defect; None if unlabelled or clean.
        group: photos of one group stay in one split; empty for a photo that stands alone.
        split: where the data set wants it; None if it may go anywhere.
    """

    path: Path
    name: str
    label: str
    sha256: str
    height: int
    width: int
    bit_depth: int = 8
    peak: int = 255
    mask: Path | None = None
    group: str = ""
    split: Prescription | None = None
    pixels_sha256: str = ""

    @property
    def content(self) -> str:
        """Names what the photo shows: the digest of its pixels, or else of its bytes."""
        return self.pixels_sha256 or self.sha256

    @property
    def unit(self) -> str:
        """What counts once where photos are counted: the group, or the photo if it stands alone."""
        return self.group or self.sha256


@dataclass(frozen=True)
class Skipped:
    """A file that was left out: its name relative to the root (folders end in `/`), and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """The photos of a data set, in the order of their names.

    Attributes:
        root: the folder that names are relative to.
        layout: the recognised layout, in words for the user.
        samples: the photos that can be used.
        skipped: the files that were left out, photos and masks, with the reason.
        hints: remarks for the user about the whole.
    """

    root: Path
    layout: str
    samples: tuple[Sample, ...]
    skipped: tuple[Skipped, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def classes(self) -> list[str]:
        """`clean`, then the defect classes in alphabetical order."""
        return [CLEAN, *sorted({sample.label for sample in self.samples} - {CLEAN})]

    @property
    def fingerprint(self) -> str:
        """Hex sha256 over the sorted digests and labels; file names and places do not matter."""
        lines = sorted(f"{sample.sha256} {sample.label}\n" for sample in self.samples)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def count(self, label: str) -> int:
        """Number of photos with this label."""
        return sum(sample.label == label for sample in self.samples)


def check_trainable(dataset: Dataset) -> None:
    """Check that an inspector can be made of these photos. No defects at all is fine: PaDiM needs none.

    Raises:
        DatasetError: when there are fewer than `MIN_CLEAN` clean photos.
    """
    found = dataset.count(CLEAN)
    if found >= MIN_CLEAN:
        return
    amount = "no clean photo" if found == 0 else f"only {found} clean photo{'s' if found > 1 else ''}"
    left_out = f", {len(dataset.skipped)} files were left out" if dataset.skipped else ""
    raise DatasetError(
        f"{dataset.root} ({dataset.layout}) holds {amount}; training needs at least {MIN_CLEAN} "
        f"({len(dataset.samples) - found} defective photos were found{left_out}).",
        f"Add photos of good parts, {MIN_CLEAN - found} or more (100 are better), in a class folder named "
        "`good`, `ok`, `clean`, `normal` or `free`, or with such a label.",
    )


def read_mask(path: Path, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Read a defect mask: bool [height, width], True where any channel but alpha is above zero.

    Raises:
        DatasetError: when it cannot be read, is not PNG, BMP or TIFF, or has another size. Masks are never
            resized: another size means that it was made for another photo.
    """
    remedy = "Save the mask as PNG in the size of its photo: black, with the defect in white."
    try:
        with Image.open(path, formats=MASK_FORMATS) as picture:
            if picture.size != (width, height):
                raise DatasetError(
                    f"The mask {path} is {picture.width} x {picture.height}, its photo {width} x {height}.",
                    remedy,
                )
            plain = picture.convert("RGBA") if picture.mode in ("P", "PA") else picture
            values = np.asarray(plain)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DatasetError(f"The mask {path} cannot be read.", remedy) from error
    if values.ndim == 2:
        return np.asarray(values != 0, dtype=np.bool_)
    colours = values[..., :-1] if values.shape[2] in (2, 4) else values
    return np.asarray((colours != 0).any(axis=2), dtype=np.bool_)
