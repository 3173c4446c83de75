"""What `glint inspect` and `glint verify` do with photos and bundles on disk, without a server."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table

from models.answer import Inspection, describe
from models.bundle import Bundle, find_bundles
from models.decision import CLEAN, INVALID
from models.errors import BundleError, PhotoError
from models.formats import SUFFIXES
from models.inspector import Inspector
from models.precision import Precision, WantedPrecision
from models.session import CPU, Device

if TYPE_CHECKING:
    from service.warmup import Failed, Warmed


@dataclass(frozen=True)
class FileAnswer:
    """What is said of one file: an inspection, or the error that stood in its way."""

    file: Path
    inspection: Inspection | None = None
    error: PhotoError | None = None

    @property
    def verdict(self) -> str:
        """The verdict; `invalid` for a file that could not be inspected."""
        return self.inspection.verdict if self.inspection else INVALID

    def as_json(self) -> dict[str, Any]:
        """One line of `glint inspect --json`: the HTTP answer's fields without the overlay, and `file`."""
        if self.inspection:
            return {"file": str(self.file), **describe(self.inspection)}
        code, detail = (self.error.code, str(self.error)) if self.error else ("", "")
        return {"file": str(self.file), "verdict": INVALID, "code": code, "detail": detail}


@dataclass
class OverlayFolder:
    """Writes overlays into a folder, named after their photos; equal names get a number."""

    folder: Path
    _taken: set[str] = field(default_factory=set)

    def write(self, photo: Path, picture: bytes) -> None:
        """Write one JPEG."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name, number = photo.stem, 1
        while name in self._taken:
            number += 1
            name = f"{photo.stem}-{number}"
        self._taken.add(name)
        (self.folder / f"{name}.jpg").write_bytes(picture)


def find_one(path: Path) -> Path:
    """The bundle at `path`, or the newest one of the only part in it.

    Raises:
        BundleError: when there is none, or there are several parts.
    """
    found = find_bundles(path)
    if len(found) > 1:
        raise BundleError(
            f"{path} holds bundles of {len(found)} parts: {', '.join(sorted(found))}.",
            f"Name one of them, for example --bundle {next(iter(found.values()))}",
        )
    return next(iter(found.values()))


def load_one(path: Path, device: Device, precision: WantedPrecision = "auto") -> Inspector:
    """Load the bundle that `find_one` finds.

    Raises:
        BundleError: when there is none, it cannot be trusted, or there are several parts.
        DeviceError: when `cuda` is asked for and does not run.
        PrecisionError: when the bundle has not the precision that is asked for.
    """
    return Inspector.load(find_one(path), device, precision=precision)


def expand(photos: Sequence[Path]) -> list[Path]:
    """Replace folders by the photos in them, sorted, subfolders and all; a folder without any stays."""
    files: list[Path] = []
    for path in photos:
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            files += found or [path]
        else:
            files.append(path)
    return files


def inspect_files(
    inspector: Inspector, files: Sequence[Path], overlays: OverlayFolder | None
) -> Iterator[FileAnswer]:
    """Inspect files one after another; one that cannot be inspected does not stop the rest."""
    for file in files:
        try:
            inspection, prepared, outputs = inspector.inspect(_read(file))
        except PhotoError as error:
            yield FileAnswer(file, error=error)
            continue
        if overlays and inspection.verdict != INVALID:
            overlays.write(file, inspector.encoded_overlay(prepared, outputs))
        yield FileAnswer(file, inspection)


def show_json(answers: Iterator[FileAnswer]) -> int:
    """Print one object a line as the answers come; return how many are `invalid`."""
    invalid = 0
    for answer in answers:
        invalid += answer.verdict == INVALID
        typer.echo(json.dumps(answer.as_json(), ensure_ascii=False))
    return invalid


def show_table(answers: Iterator[FileAnswer], console: Console) -> int:
    """Print a table for people; return how many are `invalid`."""
    table = Table(box=None, header_style="bold")
    for heading, justify in (("photo", "left"), ("verdict", "left"), ("score", "right"), ("", "left")):
        table.add_column(heading, justify="right" if justify == "right" else "left", overflow="fold")
    invalid = 0
    for answer in answers:
        invalid += answer.verdict == INVALID
        style = {CLEAN: "green", INVALID: "bold red"}.get(answer.verdict, "yellow")
        score, note = "", str(answer.error) if answer.error else ""
        if answer.inspection:
            score = "" if answer.inspection.score is None else show_score(answer.inspection.score)
            note = "; ".join(answer.inspection.review_reasons)
            note = f"review: {note}" if note and answer.verdict != INVALID else note
        table.add_row(_plain(str(answer.file)), f"[{style}]{_plain(answer.verdict)}[/]", score, _plain(note))
    console.print(table)
    return invalid


def verify(path: Path, device: Device, console: Console, precision: WantedPrecision | None = None) -> bool:
    """Check a bundle's checksums and golden photos, saying what was checked; False when results differ.

    Args:
        path: of the bundle.
        device: where its graphs are to run.
        console: to print on.
        precision: which graph is checked; None for all that the device runs.

    Raises:
        BundleError, DeviceError, PrecisionError: when the bundle or the device cannot be used at all.
    """
    bundle = Bundle.open(path)
    console.print(f"ok    {len(bundle.manifest.files)} files have their recorded checksums", markup=False)
    first = Inspector.load(path, device, precision=precision or "auto")
    chosen = first.variant
    fallback = f" ({first.provider_fallback})" if first.provider_fallback else ""
    console.print(
        f"ok    the {chosen.precision} graph runs on {first.provider}{fallback}; {chosen.reason}",
        markup=False,
        soft_wrap=True,
    )
    inspectors = [first]
    if precision is None:
        others = [name for name in bundle.manifest.variants if name != chosen.precision]
        inspectors += [Inspector.load(path, _runs_on(name, first), precision=name) for name in others]
    agree = [_golden_photos_agree(inspector, console) for inspector in inspectors]
    return all(agree)


def _runs_on(precision: Precision, first: Inspector) -> Device:
    """Where another graph of the bundle is checked: beside the first, but int8 on the CPU."""
    return "cpu" if precision == "int8" or first.provider == CPU else "cuda"


def _golden_photos_agree(inspector: Inspector, console: Console) -> bool:
    precision = inspector.variant.precision
    differences = inspector.check_golden()
    for difference in differences:
        console.print(f"wrong {precision}: {difference}", markup=False, soft_wrap=True)
    if not differences:
        count = len(inspector.bundle.golden_results())
        console.print(f"ok    {count} golden photos give their recorded results in {precision}", markup=False)
    return not differences


def show_warm_up(parts: Iterator["Warmed | Failed"], console: Console) -> bool:
    """Print how long each part took, as they come; False when one failed."""
    from service.warmup import Failed

    all_well = True
    for part in parts:
        if isinstance(part, Failed):
            all_well = False
            console.print(f"wrong {part.part}: {part.reason}", markup=False, soft_wrap=True)
            continue
        fallback = f" ({part.fallback})" if part.fallback else ""
        console.print(
            f"ok    {part.part} {part.version} on {part.provider}{fallback}: opened in {part.open_s:.1f} s, "
            f"{part.golden} golden photos give their recorded results",
            markup=False,
            soft_wrap=True,
        )
        for size, ms in part.run_ms.items():
            console.print(
                f"      batch of {size}: warmed up in {part.warm_up_s[size]:.1f} s, then {ms:.1f} ms, "
                f"{1e3 * size / ms:.0f} photos/s",
                markup=False,
            )
    return all_well


def _read(file: Path) -> bytes:
    if file.is_dir():
        raise PhotoError(
            "unreadable",
            f"{file} is a folder without photos.",
            f"Name photos, or a folder with files that end in {', '.join(SUFFIXES)}.",
        )
    try:
        return file.read_bytes()
    except OSError as error:
        raise PhotoError(
            "unreadable", f"{file} cannot be read: {error.strerror}.", "Check the path and its permissions."
        ) from error


def show_score(score: float) -> str:
    """Three digits, cut off: rounded, 0.4999 of a clean part would read as the 0.500 of a defect."""
    return f"{math.floor(score * 1000) / 1000:.3f}"


def _plain(text: str) -> str:
    """Keep text from being read as markup."""
    return text.replace("[", r"\[")
