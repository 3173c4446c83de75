"""Whether large JPEGs may be decoded at half their size: what it saves, and what it does to thin scratches.

.venv/bin/python -m tests.benchmarks.reduced_decode ../shared/data/metal_nut --bundle BUNDLE [--write]

The bundle's own test photos are enlarged three times, get a scratch of one or two pixels, and are encoded.
Each is decoded whole, as the service does, and in other ways, and its anomaly score compared. The same photo
saved a second time shows what JPEG itself moves the score by.
"""

import argparse
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from models.bundle import Bundle
from models.decision import CLEAN, anomaly_opinion
from models.inspector import Inspector
from models.photo import read_photo
from tests.benchmarks.report import machine, table, write_section
from tests.tiny_bundle import encode

ENLARGED = 3
SCRATCHES = (0, 1, 2)
MOST_PHOTOS = 16

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Judged:
    """A photo with a scratch of `width` pixels (0: none): its score and milliseconds, by way of decoding."""

    width: int
    scores: dict[str, float]
    ms: dict[str, float]


def main() -> None:
    given = arguments()
    inspector = Inspector.load(given.bundle, "cpu", 1)
    photos = clean_test_photos(given.data, given.bundle)
    seen = [
        judge(inspector, photo, width, np.random.default_rng((seed, width)))
        for seed, photo in enumerate(photos)
        for width in SCRATCHES
    ]
    side = max(max(photo.shape[:2]) for photo in photos) * ENLARGED
    text = result_text(seen)
    print(text)
    if given.write:
        head = (
            f"## Decoding at half size\n\n{len(photos)} clean test photos of {inspector.manifest.part}, "
            f"enlarged to {side} px, with a scratch of 0 to 2 of those pixels; {machine()}. "
            "Written by `tests/benchmarks/reduced_decode.py`.\n\n"
        )
        write_section("performance.md", "reduced decode", head + text)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Effect of decoding JPEGs at half size.")
    parser.add_argument("data", type=Path, help="The photos that the bundle was trained on.")
    parser.add_argument("--bundle", type=Path, required=True, help="The bundle that judges them.")
    parser.add_argument("--write", action="store_true", help="Write the table into docs/performance.md.")
    return parser.parse_args()


def clean_test_photos(data: Path, bundle: Path) -> list[Pixels]:
    records = Bundle.open(bundle, verify=False).splits()
    files = [record.file for record in records if record.split == "test" and record.label == CLEAN]
    return [read_photo(data / file).pixels for file in files[:MOST_PHOTOS]]


def judge(inspector: Inspector, photo: Pixels, width: int, chance: np.random.Generator) -> Judged:
    """Enlarge, scratch and encode a photo, and judge it in every way."""
    height, breadth = (ENLARGED * side for side in photo.shape[:2])
    large = np.asarray(cv2.resize(photo, (breadth, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    if width:
        scratch(large, width, chance)
    data = encode(large, ".jpg")
    again = encode(whole(data), ".jpg")
    scores, ms = {}, {}
    for name, way in WAYS.items():
        begun = time.thread_time()
        tensor = inspector.manifest.preprocessing.apply(way(again if name == AGAIN else data))
        ms[name] = 1e3 * (time.thread_time() - begun)
        scores[name] = score_of(inspector, tensor)
    return Judged(width, scores, ms)


def whole(data: bytes) -> Pixels:
    """Decode as the service does."""
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
        return np.asarray(picture)


def half(data: bytes) -> Pixels:
    """Decode at half size, in libjpeg's inverse transform."""
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
        picture.draft("RGB", (picture.width // 2, picture.height // 2))
        return np.asarray(picture)


def halved(data: bytes) -> Pixels:
    """Decode whole, then take means of 2 x 2 pixels, which takes OpenCV a tenth of what other means do."""
    pixels = whole(data)
    size = (pixels.shape[1] // 2, pixels.shape[0] // 2)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


WHOLE, AGAIN = "whole", "whole, the photo saved a second time"
WAYS: dict[str, Callable[[bytes], Pixels]] = {
    WHOLE: whole,
    AGAIN: whole,
    "half size, by libjpeg": half,
    "whole, then 2 x 2 means": halved,
}


def scratch(pixels: Pixels, width: int, chance: np.random.Generator) -> None:
    """Draw a bright, slightly bent line across the middle third, in place."""
    side = min(pixels.shape[:2])
    centre = np.array(pixels.shape[1::-1]) / 2
    angle, length = chance.uniform(0, np.pi), chance.uniform(0.12, 0.3) * side
    middle = centre + chance.uniform(-0.18, 0.18, 2) * side
    along = np.array([np.cos(angle), np.sin(angle)])
    bend = np.array([-along[1], along[0]]) * length * 0.05
    points = np.array([middle - along * length / 2, middle + bend, middle + along * length / 2])
    cv2.polylines(pixels, [np.rint(points).astype(np.int32)], False, (235, 235, 235), width, cv2.LINE_AA)


def score_of(inspector: Inspector, tensor: Pixels) -> float:
    """The anomaly opinion on the scale of the answer's score: 0.5 is the limit."""
    outputs = inspector.run(tensor[None])[0]
    return anomaly_opinion(outputs.anomaly_score, inspector.manifest.limits.anomaly)


def result_text(seen: Sequence[Judged]) -> str:
    rows = [row(seen, name, width) for width in SCRATCHES for name in WAYS]
    head = (
        "scratch, px",
        "decoded",
        "rejected",
        "verdicts flipped",
        "score differs by: median, most",
        "decode and resize, ms of a core",
    )
    return table(head, rows)


def row(seen: Sequence[Judged], name: str, width: int) -> tuple[str, ...]:
    some = [each for each in seen if each.width == width]
    pairs = [(each.scores[WHOLE], each.scores[name]) for each in some]
    apart = [abs(a - b) for a, b in pairs]
    return (
        str(width),
        name,
        f"{sum(b >= 0.5 for _, b in pairs)} of {len(pairs)}",
        str(sum((a >= 0.5) != (b >= 0.5) for a, b in pairs)),
        f"{median(apart):.4f}, {max(apart):.4f}",
        f"{median(each.ms[name] for each in some):.1f}",
    )


if __name__ == "__main__":
    main()
