"""Writes a data set of rendered brackets, so that Glint can be tried without a camera."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track

from training.rendering.defects import Mask, add_dent, add_scratch, add_stain
from training.rendering.parts import Picture, photograph, render_bracket
from training.rendering.surfaces import Size

JPEG_QUALITY = 95

Defect = Callable[[Picture, Mask, np.random.Generator], tuple[Picture, Mask]]

# The number seeds the photos of a class, so that one class does not change when another is added.
_KINDS: tuple[tuple[int, str, Defect | None], ...] = (
    (0, "good", None),
    (1, "scratched", add_scratch),
    (2, "dented", add_dent),
    (3, "stained", add_stain),
)


def render_parts(
    out: Path,
    *,
    good: int = 240,
    scratched: int = 80,
    dented: int = 0,
    stained: int = 0,
    size: Size = (320, 320),
    seed: int = 0,
    turned: bool = False,
    progress: bool = True,
) -> None:
    """Write class folders of rendered brackets: `<class>/part_000.jpg`, `masks/<class>/part_000.png`.

    The same seed gives the same photos, however many are asked for. Files of the same names are overwritten.

    Args:
        out: folder to write to; made if it does not exist.
        good, scratched, dented, stained: photos of each class; a class with none gets no folder.
        size: height and width in pixels.
        seed: another seed gives other photos.
        turned: the parts lie at any angle and place.
        progress: show a progress bar on stderr.
    """
    counts = (good, scratched, dented, stained)
    jobs = [(*kind, index) for kind, count in zip(_KINDS, counts, strict=True) for index in range(count)]

    def work(job: tuple[int, str, Defect | None, int]) -> None:
        number, name, defect, index = job
        photo, mask = render_photo(size, defect, np.random.default_rng((seed, number, index)), turned=turned)
        stem = f"part_{index:03d}"
        _write(out / name / f"{stem}.jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if mask is not None:
            _write(out / "masks" / name / f"{stem}.png", mask.astype(np.uint8) * 255, [])

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        done = pool.map(work, jobs)
        console = Console(stderr=True)
        for _ in track(done, "Rendering parts", total=len(jobs), console=console, disable=not progress):
            continue


def render_photo(
    size: Size, defect: Defect | None, rng: np.random.Generator, *, turned: bool = False
) -> tuple[npt.NDArray[np.uint8], Mask | None]:
    """Render one photo, uint8 [H, W, 3] RGB, and the mask bool [H, W] of its defect, if it has one.

    `turned` as for `render_bracket`.
    """
    part = render_bracket(size, rng, turned=turned)
    if defect is None:
        return photograph(part.picture, rng), None
    picture, mask = defect(part.picture, part.surface, rng)
    return photograph(picture, rng), mask


def _write(path: Path, pixels: npt.NDArray[np.uint8], settings: list[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    done, data = cv2.imencode(path.suffix, ordered, settings)
    if not done:
        raise RuntimeError(f"{path} could not be encoded")
    path.write_bytes(data.tobytes())
