"""What a shadow run costs the line: latencies with a candidate in the shadow against without, in one run.

    python -m tests.benchmarks.shadow_cost --bundle bundles/bracket/<version> --photos FOLDER

One service; its candidate is a copy of the bundle, so it costs as much as the active one. A paced line, and
clients that post as fast as they are answered, take turns with the candidate and without, A B B A, so that
the machine's moods fall on both. Writes a section of docs/performance.md unless --dry is given.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np

from models.bundle import Bundle, write_manifest
from models.cores import usable_cores
from tests.benchmarks.posting import Answer, post_at_once, post_paced, request_for
from tests.benchmarks.report import machine, table, write_section
from tests.service.live import Live, serving

CANDIDATE = "candidate"
CLIENTS = 4
_MB = 1024.0


def main() -> None:
    """Measure and write."""
    given = arguments()
    photos = [path.read_bytes() for path in sorted(given.photos.glob("*.*"))[:40]]
    requests = [request_for(photo) for photo in photos]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        part = prepare(given.bundle, folder / "bundles")
        state = folder / "state"
        state.mkdir()
        (state / "active.json").write_text(json.dumps({part: given.bundle.name}))
        options = ("--threads", str(usable_cores()))
        environment = {"GLINT_STATE": str(state)}
        with serving(
            folder / "bundles", *options, archive=folder / "archive", environment=environment
        ) as live:
            post_paced(live.port, requests, CLIENTS, given.rate, 3.0)
            rounds = [measure(live, part, requests, given, number) for number in range(given.rounds)]
            with shadowed(live, part):
                memory = (resident_mb(live.process.pid), sum(map(resident_mb, children(live.process.pid))))
    text = section(rounds, memory, given)
    print(text)
    if not given.dry:
        write_section("performance.md", "shadow runs", text)


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description="What a shadow run costs the line.")
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True, help="A folder with photos.")
    parser.add_argument("--rate", type=float, default=4.0, help="Photos a second of the paced line.")
    parser.add_argument("--rounds", type=int, default=4, help="Pairs of measurements.")
    parser.add_argument("--seconds", type=float, default=10.0, help="Length of each.")
    parser.add_argument("--dry", action="store_true", help="Print only.")
    return parser.parse_args()


def prepare(bundle: Path, folder: Path) -> str:
    """Put the bundle, and a copy under another version, into a folder of bundles; the part's name."""
    manifest = Bundle.open(bundle).manifest
    shutil.copytree(bundle, folder / manifest.part / bundle.name)
    copy = folder / manifest.part / CANDIDATE
    shutil.copytree(bundle, copy)
    (copy / "manifest.json").unlink()
    write_manifest(copy, manifest.model_copy(update={"version": CANDIDATE, "checksum": None}))
    return manifest.part


def measure(
    live: Live, part: str, requests: list[bytes], given: argparse.Namespace, number: int
) -> dict[str, dict[bool, dict[str, float]]]:
    """Both kinds of load, with the candidate (True) and without, in an order that changes."""
    found: dict[str, dict[bool, dict[str, float]]] = {"paced": {}, "at once": {}}
    for on in (True, False) if number % 2 == 0 else (False, True):
        for load in found:
            if on:
                with shadowed(live, part):
                    found[load][on] = figures(post(live, load, requests, given), given.seconds)
                    found[load][on]["share"] = judged_share(live, part)
            else:
                found[load][on] = figures(post(live, load, requests, given), given.seconds)
    return found


def post(live: Live, load: str, requests: list[bytes], given: argparse.Namespace) -> list[Answer]:
    """The answers of one load."""
    if load == "paced":
        return post_paced(live.port, requests, CLIENTS, given.rate, given.seconds)
    return post_at_once(live.port, requests, CLIENTS, given.seconds)


def figures(answers: list[Answer], seconds: float) -> dict[str, float]:
    """Median and 95th percentile in ms, and answers a second; all of them must be verdicts."""
    assert {answer.status for answer in answers} == {200}
    times = [1e3 * answer.seconds for answer in answers]
    return {"p50": median(times), "p95": float(np.percentile(times, 95)), "rate": len(times) / seconds}


def judged_share(live: Live, part: str) -> float:
    """Of the photos that were offered to the candidate, the share that it judged, or still has."""
    status = json.loads(live.get(f"/parts/{part}/shadow")[1])
    assert status["faults"] == 0, status
    offered = status["judged"] + status["dropped"]
    return float(status["judged"] / offered) if offered else 1.0


@contextmanager
def shadowed(live: Live, part: str) -> Iterator[None]:
    """Run the candidate in the shadow until the block ends."""
    ask(live, "POST", part, 200, json.dumps({"version": CANDIDATE}))
    try:
        yield
    finally:
        ask(live, "DELETE", part, 204)


def ask(live: Live, method: str, part: str, status: int, body: str | None = None) -> None:
    """Begin or end the shadow run."""
    connection = live.connect()
    connection.request(method, f"/parts/{part}/shadow", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    said = answer.read()
    assert answer.status == status, said
    connection.close()


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    listed = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in listed for child in file.read_text().split()]


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / _MB


def section(
    rounds: list[dict[str, dict[bool, dict[str, float]]]],
    memory: tuple[float, float],
    given: argparse.Namespace,
) -> str:
    """The section of docs/performance.md."""
    names = {"paced": f"{given.rate:g} photos/s", "at once": f"{CLIENTS} clients, each at once"}
    rows = []
    for load, name in names.items():
        for figure, unit in (("p50", "ms"), ("p95", "ms"), ("rate", "photos/s")):
            on = [each[load][True][figure] for each in rounds]
            off = [each[load][False][figure] for each in rounds]
            ratios = sorted(a / b for a, b in zip(on, off, strict=True))
            rows.append(
                [
                    name,
                    f"{figure}, {unit}" if figure != "rate" else unit,
                    f"{median(off):.1f}",
                    f"{median(on):.1f}",
                    f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})",
                ]
            )
        share = median(each[load][True]["share"] for each in rounds)
        rows.append([name, "judged by the candidate", "", f"{100 * share:.0f} %", ""])
    head = ["load", "", "without", "with a candidate", "ratio (least to most)"]
    return (
        "## A candidate in the shadow\n\n"
        f"On {machine()}, {len(rounds)} rounds of {given.seconds:g} s, the candidate a copy of the active "
        f"bundle. The service held {memory[0]:.0f} MB, the candidate's process {memory[1]:.0f} MB.\n\n"
        f"{table(head, rows)}"
    )


if __name__ == "__main__":
    main()
