"""Glint against the straightforward stack of `plain_stack`: photos per second on the same photos and cores.

    make demo SERVE=0                                        # or any bundle that was trained on photos
    .venv/bin/python -m tests.benchmarks.straightforward_stack --bundle demo/bundles/bracket/<version>

All services run side by side, each in a process of its own, and are measured in turn, round after round, so
that the machine's moods fall on all of them; those that are not being measured are idle. The clients run in
this process. Writes its table into docs/performance.md.
"""

import argparse
import contextlib
import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from models.bundle import Bundle
from service.bench.client import HOST, Load, encode_post, run_load
from service.bench.own_service import bench_settings, own_service
from service.bench.photos import Album, golden_album, read_album
from tests.benchmarks.plain_stack import KINDS
from tests.benchmarks.report import machine, table, write_section
from tests.service.live import free_port

CLIENTS = (1, 16)
BOUNDARY = "glint-benchmark"
PATIENCE_SECONDS = 120.0
SAID = {
    "glint": "`glint serve`, without an archive",
    "plain": "the straightforward stack",
    "tuned": "the same in `inference_mode`, on all cores, one request at a time",
    "exported": "the same models exported to ONNX, in ONNX Runtime",
}


@dataclass(frozen=True)
class Target:
    """One service, and the requests it takes."""

    name: str
    port: int
    posts: tuple[bytes, ...]


def main() -> None:
    given = arguments()
    album = read_photos(given.bundle, given.photos)
    photos = album.photos
    with contextlib.ExitStack() as running:
        targets = [running.enter_context(glint(given.bundle, photos))]
        folder = given.models or Path(running.enter_context(tempfile.TemporaryDirectory()))
        if not (folder / "classifier.onnx").exists():
            subprocess.run(plain_command(folder), check=True, capture_output=True, env=environment())
        targets += [running.enter_context(plain(folder, kind, photos)) for kind in KINDS]
        rates, latencies = measure(targets, given.rounds, given.seconds)
    rows = [row(name, rates, latencies) for name in SAID]
    text = (
        "## Against the straightforward stack\n\n"
        "anomalib's PaDiM (ResNet50, layer1-3, d = 100, 224 px) run by its `TorchInferencer`, beside a "
        "ResNet50 of torchvision in torch, behind a FastAPI handler as its documentation shows "
        "(`tests/benchmarks/plain_stack.py`). "
        f"{album.description}; each answer holds the overlay. {machine()}; "
        f"{given.rounds} rounds of {given.seconds:g} s each in turn. The ratio is Glint's throughput over "
        "theirs, the median of the rounds. Written by `tests/benchmarks/straightforward_stack.py`.\n\n"
    )
    head = ["service"]
    for clients in CLIENTS:
        who = f"{clients} client{'s' if clients > 1 else ''}"
        head += [f"photos/s, {who}", "p50, ms", "Glint / it"]
    written = text + table(head, rows)
    print(written)
    if given.write:
        write_section("performance.md", "straightforward stack", written)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Glint against the straightforward stack.")
    parser.add_argument("--bundle", type=Path, required=True, help="A bundle that was trained on photos.")
    parser.add_argument("--photos", type=Path, help="Folder of photos to post. [the golden photos]")
    parser.add_argument("--models", type=Path, help="Folder that keeps the plain stack's models. [none]")
    parser.add_argument("--rounds", type=int, default=3, help="Measurements of each service.")
    parser.add_argument("--seconds", type=float, default=6.0, help="Length of each.")
    parser.add_argument("--no-write", dest="write", action="store_false", help="Leave docs/ as it is.")
    return parser.parse_args()


def read_photos(bundle: Path, folder: Path | None) -> Album:
    """Photos that the bundle takes; all services get the same."""
    return read_album(folder) if folder else golden_album(Bundle.open(bundle))


@contextlib.contextmanager
def glint(bundle: Path, photos: tuple[bytes, ...]) -> Iterator[Target]:
    """`glint serve` with its defaults, but for the archive."""
    headers = {"Content-Type": "image/jpeg"}
    with own_service(bench_settings(bundle, "cpu", None)) as service:
        yield Target("glint", service.port, tuple(encode_post("/inspect", each, headers) for each in photos))


@contextlib.contextmanager
def plain(folder: Path, kind: str, photos: tuple[bytes, ...]) -> Iterator[Target]:
    """One of the plain stack's kinds."""
    port = free_port()
    command = [*plain_command(folder), kind, str(port)]
    process = subprocess.Popen(
        command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(process, port)
        yield Target(kind, port, tuple(encode_form(each) for each in photos))
    finally:
        process.terminate()
        process.wait()


def plain_command(folder: Path) -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.plain_stack", str(folder)]


def environment() -> dict[str, str]:
    """This process's, without a limit on torch's threads."""
    return {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}


def wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    last = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < last:
        assert process.poll() is None, "the plain stack ended"
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection(HOST, port, timeout=5)
            connection.request("GET", "/docs")
            assert connection.getresponse().status == 200
            return
        time.sleep(0.2)
    raise AssertionError("the plain stack did not start")


def encode_form(photo: bytes) -> bytes:
    """A POST of the photo as a form, which is what FastAPI's documentation shows."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="part.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = head.encode() + photo + f"\r\n--{BOUNDARY}--\r\n".encode()
    return encode_post("/inspect", body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})


Figures = dict[tuple[str, int], list[float]]


def measure(targets: list[Target], rounds: int, seconds: float) -> tuple[Figures, Figures]:
    """Photos per second and median latency in ms, of each round, by service and number of clients."""
    rates: Figures = {}
    latencies: Figures = {}
    for target in targets:
        load_of(target, max(CLIENTS), 1.0)
    for number in range(rounds):
        for clients in CLIENTS:
            for target in targets if number % 2 == 0 else reversed(targets):
                load = load_of(target, clients, seconds)
                rates.setdefault((target.name, clients), []).append(len(load.answers) / load.seconds)
                middle = 1e3 * median(answer.seconds for answer in load.answers)
                latencies.setdefault((target.name, clients), []).append(middle)
    return rates, latencies


def load_of(target: Target, clients: int, seconds: float) -> Load:
    load = run_load(target.port, target.posts, clients, seconds, PATIENCE_SECONDS)
    wrong = [answer for answer in load.answers if answer.status != 200]
    assert not wrong, f"{target.name}: {wrong[0]}"
    return load


def row(name: str, rates: Figures, latencies: Figures) -> list[str]:
    cells = [SAID[name]]
    for clients in CLIENTS:
        ratios = [ours / its for ours, its in zip(rates["glint", clients], rates[name, clients], strict=True)]
        cells += [f"{median(rates[name, clients]):.1f}", f"{median(latencies[name, clients]):.0f}"]
        cells.append("" if name == "glint" else f"**{median(ratios):.2f}**")
    return cells


if __name__ == "__main__":
    main()
