"""Whether large JPEGs may be decoded at half their size: what it saves, and what it does to thin scratches.

.venv/bin/python -m tests.benchmarks.reduced_decode ../shared/data/metal_nut --bundle BUNDLE [--write]

The bundle's own test photos are enlarged three times, get a scratch of one or two pixels, and are encoded.
Each is decoded whole, as the service does, and at half size by libjpeg's scaled transform, and judged.
A pair of whole decodings of the same photo saved twice shows what JPEG itself moves the score by.
"""

import argparse
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from models.bundle import Bundle
from models.decision import CLEAN
from models.inspector import Inspector
from models.photo import read_photo
from tests.benchmarks.report import machine, table, write_section
from tests.tiny_bundle import encode

ENLARGED = 3
SCRATCHES = (0, 1, 2)
MOST_PHOTOS = 24

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Judged:
    """A photo with a scratch of `width` pixels (0: none), judged whole, at half size, and saved again."""

    width: int
    whole: float
    half: float
    again: float
    flipped: bool
    flipped_again: bool
    whole_ms: float
    half_ms: float


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
    """Enlarge, scratch and encode a photo, and judge it in three ways."""
    height, breadth = (ENLARGED * side for side in photo.shape[:2])
    large = np.asarray(cv2.resize(photo, (breadth, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    if width:
        scratch(large, width, chance)
    data = encode(large, ".jpg")
    whole, whole_ms = decoded(data, half=False)
    half, half_ms = decoded(data, half=True)
    again, _ = decoded(encode(whole, ".jpg"), half=False)
    scores = [score_of(inspector, pixels) for pixels in (whole, half, again)]
    return Judged(
        width=width,
        whole=scores[0],
        half=scores[1],
        again=scores[2],
        flipped=(scores[0] >= 0.5) != (scores[1] >= 0.5),
        flipped_again=(scores[0] >= 0.5) != (scores[2] >= 0.5),
        whole_ms=whole_ms,
        half_ms=half_ms,
    )


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


def decoded(data: bytes, *, half: bool) -> tuple[Pixels, float]:
    """The pixels, and the milliseconds of this thread that decoding took."""
    begun = time.thread_time()
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
        if half:
            picture.draft("RGB", (picture.width // 2, picture.height // 2))
        pixels = np.asarray(picture)
    return pixels, 1e3 * (time.thread_time() - begun)


def score_of(inspector: Inspector, pixels: Pixels) -> float:
    """The anomaly score over its limit, on the scale of the answer's score: 0.5 is the limit."""
    outputs = inspector.run(inspector.manifest.preprocessing.apply(pixels)[None])[0]
    return outputs.anomaly_score / (outputs.anomaly_score + inspector.manifest.limits.anomaly)


def result_text(seen: Sequence[Judged]) -> str:
    rows = []
    for width in SCRATCHES:
        some = [each for each in seen if each.width == width]
        half = [abs(each.half - each.whole) for each in some]
        again = [abs(each.again - each.whole) for each in some]
        rows.append(
            (
                str(width),
                f"{sum(each.whole >= 0.5 for each in some)} of {len(some)}",
                f"{sum(each.half >= 0.5 for each in some)}",
                f"{median(half):.4f}, {max(half):.4f}",
                f"{sum(each.flipped for each in some)}",
                f"{median(again):.4f}, {max(again):.4f}",
                f"{sum(each.flipped_again for each in some)}",
            )
        )
    head = (
        "scratch, px",
        "rejected, whole",
        "rejected, half size",
        "score differs by: median, most",
        "verdicts flipped",
        "saved again, score differs by",
        "flipped",
    )
    whole, half_ms = median(each.whole_ms for each in seen), median(each.half_ms for each in seen)
    return (
        f"{table(head, rows)}\n\nDecoding whole: {whole:.1f} ms, at half size: {half_ms:.1f} ms of one core."
    )


if __name__ == "__main__":
    main()
