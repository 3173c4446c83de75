"""What the quality gate refuses, on photos of real parts: held-out ones as they are, and spoilt ones.

    python -m tests.benchmarks.quality_gate ../shared/data [--write]

The gate is learnt from the clean photos of train and calibration, as `glint train` does. The spoilt photos
are made from the good test photos. Needs no torch: only the preprocessing runs. `--write` puts the table
into docs/photos.md.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import numpy.typing as npt

from models.decision import CLEAN
from models.measuring import measure
from models.photo import read_photo
from models.preprocessing import Preprocessing, default_size
from models.quality import QualityGate
from tests.benchmarks.accuracy_cases import camera_of
from tests.benchmarks.report import table, write_section
from training.data.layouts import read_dataset
from training.data.samples import Sample
from training.data.splits import Split, split_dataset
from training.images import load_images
from training.quality import learn_gate

SETS = ("metal_nut", "magnetic_tile", "ball_screw")
MOST_SPOILT = 60

Pixels = npt.NDArray[np.uint8]
Spoil = Callable[[Pixels, np.random.Generator], Pixels]


@dataclass(frozen=True)
class Part:
    """A set of photos, and the gate learnt from it."""

    name: str
    split: Split
    preprocessing: Preprocessing
    gate: QualityGate

    def refused_by(self, pixels: Pixels, bit_depth: int = 8) -> list[str]:
        """Names of the readings that refuse a photo, uint8 RGB [H, W, 3]."""
        place = self.preprocessing.place(*pixels.shape[:2])
        tensor = self.preprocessing.apply(pixels)
        readings = measure(tensor, place, bit_depth=bit_depth, thumbnail=self.gate.thumbnail)
        return [reading.name for reading in self.gate.judge(readings) if not reading.ok]


def learn(name: str, data: Path) -> Part:
    """Read a set, split it as it must be, and learn its gate."""
    samples = list(read_dataset(data / name, progress=False).samples)
    if name == "ball_screw":
        samples = [replace(s, group=camera_of(s.path)) for s in samples]
    split = split_dataset(samples, seed=0)
    height, width = default_size((s.height, s.width) for s in split.train)
    preprocessing = Preprocessing(height=height, width=width)
    fitted = [*split.train, *split.calibration]
    gate = learn_gate(load_images(fitted, preprocessing, progress=False), fitted, preprocessing)
    return Part(name, split, preprocessing, gate)


def lit(factor: float) -> Spoil:
    return lambda pixels, _: np.clip(pixels * factor, 0, 255).astype(np.uint8)


def blurred(share: float) -> Spoil:
    """Gaussian blur with a standard deviation of `share` of the shorter side."""
    return lambda pixels, _: cv2.GaussianBlur(pixels, (0, 0), share * min(pixels.shape[:2]))


def black(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """A lens cap: the sensor's noise alone."""
    return random.integers(0, 4, pixels.shape, dtype=np.uint8)


def empty(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """No part: the colour of the four corners everywhere, with a sensor's noise."""
    corners = np.concatenate([pixels[y, x].reshape(-1, 3) for y in (slice(8), slice(-8, None))
                              for x in (slice(8), slice(-8, None))])  # fmt: skip
    noise = random.normal(0.0, 3.0, pixels.shape)
    return np.clip(np.median(corners, axis=0) + noise, 0, 255).astype(np.uint8)


SPOILT: dict[str, Spoil] = {
    "light x0.8": lit(0.8),
    "light x1.2": lit(1.2),
    "light x0.3": lit(0.3),
    "light x2.5": lit(2.5),
    "blur, 4 % of the side": blurred(0.04),
    "black frame": black,
    "empty background": empty,
    "turned by 90 degrees": lambda pixels, _: np.ascontiguousarray(np.rot90(pixels)),
    "upside down": lambda pixels, _: np.ascontiguousarray(pixels[::-1, ::-1]),
}


def share(part: Part, photos: Sequence[Pixels]) -> str:
    """How many photos are refused, and by which readings the most."""
    found = [part.refused_by(pixels) for pixels in photos]
    refused = [names for names in found if names]
    names = sorted({n for names in refused for n in names}, key=lambda n: -sum(n in f for f in refused))
    by = f" ({', '.join(names[:3])})" if names else ""
    return f"{len(refused)} of {len(photos)}{by}"


def spread(samples: Sequence[Sample], most: int = MOST_SPOILT) -> list[Pixels]:
    """At most `most` photos, evenly chosen."""
    chosen = np.linspace(0, len(samples) - 1, min(most, len(samples))).astype(int)
    return [read_photo(samples[index].path).pixels for index in chosen]


def column(part: Part, others: Sequence[Part]) -> dict[str, str]:
    """All figures of one part, by what was shown to its gate."""
    good = [s for s in part.split.test if s.label == CLEAN]
    bad = [s for s in part.split.test if s.label != CLEAN]
    random = np.random.default_rng(0)
    cells = {"good, held out": share(part, spread(good, len(good)))}
    cells["defective, held out"] = share(part, spread(bad, len(bad)))
    photos = spread(good)
    for name, spoil in SPOILT.items():
        cells[name] = share(part, [spoil(pixels, random) for pixels in photos])
    height, width = photos[0].shape[:2]
    for other in others:
        strangers = [cv2.resize(pixels, (width, height)) for pixels in spread(other.split.test)]
        cells[f"photo of a {other.name} part, same size"] = share(part, strangers)
    return cells


def milliseconds(part: Part) -> float:
    """Median time of the readings of one photo at the model's size."""
    pixels = spread(part.split.test, 1)[0]
    tensor, place = part.preprocessing.apply(pixels), part.preprocessing.place(*pixels.shape[:2])
    took = []
    for _ in range(300):
        begun = time.perf_counter()
        part.gate.judge(measure(tensor, place, bit_depth=8, thumbnail=part.gate.thumbnail))
        took.append(time.perf_counter() - begun)
    return 1e3 * median(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--write", action="store_true", help="put the table into docs/photos.md")
    options = parser.parse_args()
    parts = [learn(name, options.data) for name in SETS]
    columns = [column(part, [other for other in parts if other is not part]) for part in parts]
    rows = list(dict.fromkeys(name for cells in columns for name in cells))
    text = table(
        ["shown to the gate of", *SETS], [[row, *(cells.get(row, "") for cells in columns)] for row in rows]
    )
    text += f"\n\nReading and judging one photo takes {max(map(milliseconds, parts)):.2f} ms."
    print(text)
    if options.write:
        write_section("photos.md", "quality gate", text)


if __name__ == "__main__":
    main()
