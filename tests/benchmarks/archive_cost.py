"""What the archive costs: throughput of the service with it against without it, in one run.

.venv/bin/python -m tests.benchmarks.archive_cost [--bundle bundles/bracket/<version>] [--json FILE]

Two services run side by side, one with an archive and one without; 8 clients post to one and then to the
other, A B B A, so that the machine's moods fall on both. Without --bundle, the tiny bundle of the tests is
served: its model costs nothing, so the ratio is then as bad as it can be.
"""

import argparse
import json
import tempfile
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

import numpy as np

from tests.benchmarks.report import machine
from tests.service.live import Live, serving
from tests.tiny_bundle import encode, make_tiny_bundle

CLIENTS = 8
SIZE = (480, 640)


def main() -> None:
    given = arguments()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        bundle = given.bundle or make_tiny_bundle(folder / "bundles")
        threads = ("--threads", str(given.threads))
        with (
            serving(bundle, *threads) as without,
            serving(bundle, *threads, archive=folder / "archive") as with_archive,
        ):
            pairs = measure(with_archive, without, given.rounds, given.seconds)
    ratios = [on / off for on, off in pairs]
    result = {
        "machine": machine(),
        "bundle": "tiny" if given.bundle is None else bundle.parent.name,
        "clients": CLIENTS,
        "photo": f"{SIZE[1]}x{SIZE[0]} JPEG",
        "rounds": given.rounds,
        "photos_per_second_with_archive": round(median(on for on, _ in pairs), 2),
        "photos_per_second_without": round(median(off for _, off in pairs), 2),
        "ratio": round(median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
    }
    print(json.dumps(result, indent=2))
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What the archive costs in throughput.")
    parser.add_argument("--bundle", type=Path, help="A bundle to serve; the tests' tiny one without it.")
    parser.add_argument("--folder", type=Path, help="Folder on the disk to measure. [the temporary folder]")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the model.")
    parser.add_argument("--rounds", type=int, default=6, help="Pairs of measurements.")
    parser.add_argument("--seconds", type=float, default=5.0, help="Length of each.")
    parser.add_argument("--json", type=Path, help="Write the result into this file too.")
    return parser.parse_args()


def measure(with_archive: Live, without: Live, rounds: int, seconds: float) -> list[tuple[float, float]]:
    """Photos per second with and without, of each round."""
    photos = noisy_photos(16)
    for live in (with_archive, without):
        throughput(live, photos, 1.0)
    pairs = []
    for number in range(rounds):
        order = (with_archive, without) if number % 2 == 0 else (without, with_archive)
        seen = {live.port: throughput(live, photos, seconds) for live in order}
        pairs.append((seen[with_archive.port], seen[without.port]))
    return pairs


def noisy_photos(count: int) -> list[bytes]:
    """JPEGs of about the size that a camera's have: a gradient with some grain."""
    chance = np.random.default_rng(0)
    slope = np.linspace(60, 180, SIZE[1])[None, :, None]
    return [
        encode(np.clip(slope + chance.normal(0, 6, (*SIZE, 3)), 0, 255).astype(np.uint8), ".jpg")
        for _ in range(count)
    ]


def throughput(live: Live, photos: list[bytes], seconds: float) -> float:
    """Photos per second that `CLIENTS` clients get answered."""
    counts = [0] * CLIENTS
    end = time.monotonic() + seconds

    def post(client: int) -> None:
        connection = HTTPConnection("127.0.0.1", live.port, timeout=60)
        while time.monotonic() < end:
            data = photos[(client + counts[client]) % len(photos)]
            connection.request("POST", "/inspect", body=data, headers={"content-type": "image/jpeg"})
            response = connection.getresponse()
            answer = response.read()
            assert response.status == 200, answer
            counts[client] += 1
        connection.close()

    begun = time.monotonic()
    clients = [threading.Thread(target=post, args=(number,)) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return sum(counts) / (time.monotonic() - begun)


if __name__ == "__main__":
    main()
