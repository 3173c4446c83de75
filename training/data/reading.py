"""Opens the photos that a layout names: decodes each, checks its mask, and settles duplicates."""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from models.cores import usable_cores
from models.decision import CLEAN
from models.errors import DatasetError, PhotoError
from models.photo import Photo, read_photo
from training.data.groups import join_groups
from training.data.listing import Entry, Listing, name_of
from training.data.samples import Dataset, Sample, Skipped, read_mask

_TWELVE_BITS = 4095
_SIXTEEN_BITS = 65535


@dataclass(frozen=True)
class _Reading:
    """What came of one photo: a sample unless it is left out, and what was left out with it."""

    sample: Sample | None
    skipped: tuple[Skipped, ...] = ()


def read_entries(root: Path, listing: Listing, *, white_level: int, progress: bool) -> Dataset:
    """Decode the listed photos in a thread pool; see `read_dataset`."""
    with ThreadPoolExecutor(max_workers=usable_cores()) as pool:
        running = pool.map(lambda entry: _read(entry, root, white_level), listing.entries)
        readings = list(
            track(
                running,
                description="Reading photos",
                total=len(listing.entries),
                console=Console(stderr=True),
                disable=not progress,
            )
        )
    read = [reading.sample for reading in readings if reading.sample is not None]
    kept, duplicates = _settle_duplicates(read)
    skipped = [*listing.skipped, *(s for reading in readings for s in reading.skipped), *duplicates]
    return Dataset(
        root=root,
        layout=listing.layout,
        samples=tuple(join_groups(kept)),
        skipped=tuple(sorted(skipped, key=lambda item: item.name)),
        hints=(*listing.hints, *_white_level_hint(kept, white_level)),
    )


def _read(entry: Entry, root: Path, white_level: int) -> _Reading:
    try:
        photo = read_photo(entry.path, white_level=white_level)
    except PhotoError as error:
        return _Reading(None, (Skipped(entry.name, error.problem),))
    mask = entry.mask
    skipped: tuple[Skipped, ...] = ()
    if mask is not None:
        reason = _check_mask(mask, photo.height, photo.width)
        if entry.label == CLEAN and not reason:
            reason = f"labelled clean, but its mask {name_of(mask, root)} marks a defect"
            return _Reading(None, (Skipped(entry.name, reason),))
        if reason:
            skipped = _without_mask(name_of(mask, root), reason, entry)
            mask = None
    sample = Sample(
        path=entry.path,
        name=entry.name,
        label=entry.label,
        sha256=photo.sha256,
        height=photo.height,
        width=photo.width,
        bit_depth=photo.bit_depth,
        peak=photo.peak,
        mask=mask,
        group=entry.group,
        split=entry.split,
        pixels_sha256=_digest(photo),
    )
    return _Reading(sample, skipped)


def _digest(photo: Photo) -> str:
    digest = hashlib.sha256(f"{photo.height} x {photo.width} RGB".encode())
    digest.update(photo.pixels.data)
    return digest.hexdigest()


def _check_mask(path: Path, height: int, width: int) -> str:
    """Why the mask marks nothing that can be used; empty if it is in order."""
    try:
        return "" if read_mask(path, height, width).any() else "the mask is empty"
    except DatasetError as error:
        return error.problem


def _without_mask(mask: str, reason: str, entry: Entry) -> tuple[Skipped, ...]:
    # An empty mask is what a clean photo should have, so it is not worth a word.
    if entry.label == CLEAN and reason == "the mask is empty":
        return ()
    return (Skipped(mask, f"{reason}; the photo {entry.name} is kept without a mask"),)


def _settle_duplicates(samples: Iterable[Sample]) -> tuple[list[Sample], list[Skipped]]:
    """Leave out equal photos that contradict each other in label or prescribed split."""
    by_content: dict[str, list[Sample]] = {}
    for sample in samples:
        by_content.setdefault(sample.content, []).append(sample)
    kept, skipped = [], []
    for same in by_content.values():
        first = same[0]
        if any(sample.label != first.label for sample in same):
            for sample in same:
                other = next(s for s in same if s.label != sample.label)
                reason = f"labelled {sample.label}, but {other.name} is the same photo labelled {other.label}"
                skipped.append(Skipped(sample.name, reason))
            continue
        for sample in same:
            if sample.split == first.split:
                kept.append(sample)
            else:
                reason = f"the same photo as {first.name}, which belongs to another split"
                skipped.append(Skipped(sample.name, reason))
    return sorted(kept, key=lambda sample: sample.name), skipped


def _white_level_hint(samples: Iterable[Sample], white_level: int) -> tuple[str, ...]:
    peaks = [sample.peak for sample in samples if sample.bit_depth == 16]
    if not peaks or white_level != _SIXTEEN_BITS or max(peaks) > _TWELVE_BITS:
        return ()
    return (
        f"The {len(peaks)} 16-bit photos never exceed {max(peaks)}: they seem to come from a 12-bit "
        f"camera, and come out nearly black. Use --white-level {_TWELVE_BITS}.",
    )
