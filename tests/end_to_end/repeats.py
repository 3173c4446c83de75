"""What a bundle says of photos in batches of several sizes: called by a test, or in a process of its own.

    python -m tests.end_to_end.repeats BUNDLE PHOTOS > said.json

PHOTOS is a folder; each photo in it counts, at any depth.
"""

import argparse
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np

from models.formats import SUFFIXES
from models.inspector import Inspector, Outputs, Prepared
from models.precision import WantedPrecision
from models.session import Device
from service.batching import Batcher

BATCHES = (1, 2, 5, 16)
_SECONDS = 600.0


@dataclass(frozen=True)
class Said:
    """What is said of one photo; `anomaly` is the raw score, which has no upper end."""

    verdict: str
    score: float | None
    anomaly: float
    probabilities: tuple[float, ...]


def prepare(inspector: Inspector, folder: Path) -> list[Prepared]:
    """The photos of a folder, in the order of their paths."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return [inspector.prepare(path.read_bytes()) for path in paths if "masks" not in path.parts]


def in_batches(inspector: Inspector, photos: Sequence[Prepared], size: int) -> list[Said]:
    """Run them in batches of so many; the last one may be smaller."""
    if inspector.keeps_to_a_thread:
        inspector.warm_up(size)
    outputs: list[Outputs] = []
    for first in range(0, len(photos), size):
        outputs += inspector.run(np.stack([photo.tensor for photo in photos[first : first + size]]))
    return _said(inspector, photos, outputs)


def through_the_batcher(
    inspector: Inspector, photos: Sequence[Prepared], buckets: Sequence[int], lanes: int
) -> tuple[list[Said], set[int]]:
    """Send them all at once through the service's batcher, which fills up its batches as it comes.

    Returns:
        What is said of each, and the sizes of the batches that were made.
    """
    deaths: list[BaseException] = []
    batcher = Batcher("repeats", buckets=buckets, capacity=len(photos), on_death=deaths.append, lanes=lanes)
    try:
        last = time.monotonic() + _SECONDS
        futures = [batcher.submit(inspector, photo.tensor, last) for photo in photos]
        ran = [future.result(_SECONDS) for future in futures]
    finally:
        batcher.close(_SECONDS)
    assert not deaths
    return _said(inspector, photos, [each.outputs for each in ran]), {each.batch_size for each in ran}


def farthest(one: Iterable[Said], other: Iterable[Said]) -> tuple[float, float, int]:
    """The largest difference of scores, that of anomaly scores as a share, and how many verdicts differ."""
    pairs = list(zip(one, other, strict=True))
    assert all((a.score is None) == (b.score is None) for a, b in pairs)
    return (
        max(abs((a.score or 0.0) - (b.score or 0.0)) for a, b in pairs),
        max(abs(a.anomaly - b.anomaly) / max(a.anomaly, 1e-9) for a, b in pairs),
        sum(a.verdict != b.verdict for a, b in pairs),
    )


def read(text: str) -> dict[int, list[Said]]:
    """What `main` printed."""
    given: Mapping[str, list[dict[str, object]]] = json.loads(text)
    return {
        int(size): [
            Said(**{**each, "probabilities": tuple(cast("list[float]", each["probabilities"]))})
            for each in own
        ]
        for size, own in given.items()
    }


def _said(inspector: Inspector, photos: Sequence[Prepared], outputs: Sequence[Outputs]) -> list[Said]:
    answers = [inspector.answer(photo, each) for photo, each in zip(photos, outputs, strict=True)]
    return [
        Said(answer.verdict, answer.score, each.anomaly_score, tuple(map(float, each.probabilities)))
        for answer, each in zip(answers, outputs, strict=True)
    ]


def main() -> None:
    """Print what is said in batches of each size, as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--precision", default="fp32")
    given = parser.parse_args()
    device, precision = cast(Device, given.device), cast(WantedPrecision, given.precision)
    inspector = Inspector.load(given.bundle, device, given.threads, precision=precision)
    photos = prepare(inspector, given.photos)
    found = {size: [asdict(each) for each in in_batches(inspector, photos, size)] for size in BATCHES}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
