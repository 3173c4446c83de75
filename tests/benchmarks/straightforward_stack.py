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
from models.inspector import Inspector
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
    """One service, its process, and the requests it takes."""

    name: str
    port: int
    process: int
    posts: tuple[bytes, ...]


@dataclass(frozen=True)
class Phase:
    """What a service gave in one turn: photos per second, median latency, CPU time of its process a photo."""

    rate: float
    p50_ms: float
    cpu_ms: float


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
        phases = measure(targets, given.rounds, given.seconds)
    rows = [row(name, phases) for name in SAID]
    text = head_text(Inspector.load(given.bundle, "cpu"), album.description, given.rounds, given.seconds)
    head = ["service"]
    for clients in CLIENTS:
        who = f"{clients} client{'s' if clients > 1 else ''}"
        head += [f"photos/s, {who}", "Glint / it", "p50, ms", "CPU ms a photo", "it / Glint"]
    written = text + table(head, rows)
    print(written)
    if given.write:
        write_section("performance.md", "straightforward stack", written)


def head_text(inspector: Inspector, photos: str, rounds: int, seconds: float) -> str:
    """What is compared, with the size and precision that Glint runs at."""
    size = inspector.manifest.preprocessing
    return (
        "## Against the straightforward stack\n\n"
        "anomalib's PaDiM (ResNet50, layer1-3, d = 100, 224 px) run by its `TorchInferencer`, beside a "
        "ResNet50 of torchvision in torch, behind a FastAPI handler as its documentation shows "
        f"(`tests/benchmarks/plain_stack.py`). Glint's input: {size.width} x {size.height} px, "
        f"{inspector.variant.precision}. "
        f"{photos}; each answer holds the overlay. {machine()}; "
        f"{rounds} rounds of {seconds:g} s each in turn; medians of the rounds. "
        "CPU is what all cores together spend on a photo, which other work on the machine hardly changes. "
        "Written by `tests/benchmarks/straightforward_stack.py`.\n\n"
    )


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
        posts = tuple(encode_post("/inspect", each, headers) for each in photos)
        yield Target("glint", service.port, service.process.pid, posts)


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
        yield Target(kind, port, process.pid, tuple(encode_form(each) for each in photos))
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


Phases = dict[tuple[str, int], list[Phase]]


def measure(targets: list[Target], rounds: int, seconds: float) -> Phases:
    """The phases of all rounds, by service and number of clients."""
    phases: Phases = {}
    for target in targets:
        load_of(target, max(CLIENTS), 1.0)
    for number in range(rounds):
        for clients in CLIENTS:
            for target in targets if number % 2 == 0 else reversed(targets):
                before = cpu_seconds(target.process)
                load = load_of(target, clients, seconds)
                used = cpu_seconds(target.process) - before
                count = len(load.answers)
                middle = median(answer.seconds for answer in load.answers)
                phase = Phase(count / load.seconds, 1e3 * middle, 1e3 * used / count)
                phases.setdefault((target.name, clients), []).append(phase)
                print(target.name, clients, phase, flush=True)
    return phases


def cpu_seconds(process: int) -> float:
    """Seconds that all cores together have spent on a process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load_of(target: Target, clients: int, seconds: float) -> Load:
    load = run_load(target.port, target.posts, clients, seconds, PATIENCE_SECONDS)
    wrong = [answer for answer in load.answers if answer.status != 200]
    assert not wrong, f"{target.name}: {wrong[0]}"
    return load


def row(name: str, phases: Phases) -> list[str]:
    cells = [SAID[name]]
    for clients in CLIENTS:
        ours, its = phases["glint", clients], phases[name, clients]
        times = median(o.rate / i.rate for o, i in zip(ours, its, strict=True))
        less = median(i.cpu_ms / o.cpu_ms for o, i in zip(ours, its, strict=True))
        cells += [f"{median(i.rate for i in its):.1f}", "" if name == "glint" else f"**{times:.2f}**"]
        cells += [f"{median(i.p50_ms for i in its):.0f}", f"{median(i.cpu_ms for i in its):.0f}"]
        cells.append("" if name == "glint" else f"{less:.2f}")
    return cells


if __name__ == "__main__":
    main()
