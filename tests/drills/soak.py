"""Half an hour at 80 % of what the service can take: no error, and nothing that grows.

    python -m tests.drills.soak [--minutes 30] [--bundle BUNDLE --photos FOLDER] [--docs]

Starts a real service with the canary on and an archive in SQLite that keeps photos of defects and 5 % of the
clean ones. Eight clients measure its capacity; then they post at 80 % of it, at a steady pace whatever the
answers take: good, defective and bad photos of several formats. Each must get the answer that it got before
the load. Writes soak.json and soak.png; the exit code is 1 when something was not as it must be.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tests.benchmarks.report import DOCS, machine, table, write_section
from tests.drills.harness import Photo
from tests.drills.soak_findings import Findings, Sample, find
from tests.drills.soak_load import Post, album, capacity, paced, with_expected_verdicts
from tests.drills.soak_picture import picture
from tests.drills.table import HEADS
from tests.service.live import Live, serving
from tests.tiny_bundle import encode, make_tiny_bundle

SHARE_OF_CAPACITY = 0.8
CAPACITY_SECONDS = 20.0
SAMPLE_SECONDS = 10.0
SECONDS_TO_END = 30.0
SETTINGS = {"GLINT_ARCHIVE_PHOTOS": "defects:0.05"}


def main() -> int:
    """Run the soak; the exit code."""
    given = _arguments()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        bundle = given.bundle or make_tiny_bundle(folder / "bundles")
        options = ("--threads", str(given.threads))
        with serving(bundle, *options, archive=folder / "archive", environment=SETTINGS) as live:
            mixed = with_expected_verdicts(live.port, album(given.photos))
            findings, samples = soak(live, mixed, 60 * given.minutes, given.capacity_seconds)
    result = {
        "machine": machine(),
        "bundle": "tiny" if given.bundle is None else bundle.parent.name,
        "model_threads": given.threads,
        **asdict(findings),
        "samples": [asdict(sample) for sample in samples],
    }
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "soak.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (given.output / "soak.png").write_bytes(encode(picture(samples), ".png"))
    print(json.dumps({name: value for name, value in result.items() if name != "samples"}, indent=2))
    if given.docs:
        (DOCS / "soak.png").write_bytes((given.output / "soak.png").read_bytes())
        write_section("drills.md", "soak", _section(findings, str(result["bundle"]), given.threads))
    return 1 if findings.failures else 0


def soak(
    live: Live, mixed: Sequence[Photo], seconds: float, capacity_seconds: float = CAPACITY_SECONDS
) -> tuple[Findings, list[Sample]]:
    """Measure the capacity of a running service, load it for so long, and end it."""
    most = capacity(live.port, mixed, capacity_seconds)
    load = SHARE_OF_CAPACITY * most
    posts: list[Post] = []
    samples: list[Sample] = []
    faults: list[str] = []
    begun = time.monotonic()
    poster = threading.Thread(target=paced, args=(live.port, mixed, load, seconds, posts))
    poster.start()
    seen = 0
    step = min(SAMPLE_SECONDS, seconds / 20)
    while poster.is_alive() and live.process.poll() is None:
        poster.join(max(0.0, begun + (len(samples) + 1) * step - time.monotonic()))
        known = len(posts)
        # A service that has ended has nothing to sample; its exit code is a fault below.
        with suppress(OSError, KeyError):
            samples.append(_sample(live, time.monotonic() - begun, posts[seen:known]))
        seen = known
        faults += _readiness(live)
    poster.join()
    faults += _end(live)
    return find(samples, posts, faults, seconds=seconds, capacity=most, load=load), samples


def _sample(live: Live, seconds: float, posts: Sequence[Post]) -> Sample:
    process = Path(f"/proc/{live.process.pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    latencies = 1e3 * np.array([post.seconds for post in posts])
    p50, p99 = (round(float(q), 1) for q in np.quantile(latencies, [0.5, 0.99])) if posts else (None, None)
    return Sample(
        seconds=round(seconds, 1),
        rss_mb=round(int(status["VmRSS"].split()[0]) / 1024, 2),
        descriptors=len(list((process / "fd").iterdir())),
        threads=int(status["Threads"]),
        p50_ms=p50,
        p99_ms=p99,
    )


def _readiness(live: Live) -> list[str]:
    """What /readyz had to say; a monitor reads /metrics as often."""
    try:
        status, _ = live.get("/readyz")
        live.get("/metrics")
    except OSError as error:
        return [f"/readyz: {error!r}"]
    return [] if status == 200 else [f"/readyz: {status}"]


def _end(live: Live) -> list[str]:
    live.terminate()
    code = live.process.wait(SECONDS_TO_END)
    return ([f"exit code {code}"] if code else []) + (
        ["a traceback in the log"] if "Traceback" in live.log.read_text() else []
    )


def _section(findings: Findings, bundle: str, threads: int) -> str:
    row = (
        "Half an hour of load (soak)",
        f"{findings.minutes:g} minutes at {SHARE_OF_CAPACITY:.0%} of what the service can take; bundle "
        f"{bundle}, {threads} thread for the model, {machine()}",
        "no error; memory grows by 2 % at most, descriptors and threads not at all",
        findings.said(),
    )
    return table(HEADS, [row]) + "\n\n![The soak over time](soak.png)"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Load a service for long at 80 % of its capacity.")
    parser.add_argument("--minutes", type=float, default=30.0, help="Length of the load.")
    parser.add_argument("--bundle", type=Path, help="A bundle to serve; the tests' tiny one without it.")
    parser.add_argument("--photos", type=Path, help="Folder of photos for it.")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the model.")
    parser.add_argument(
        "--capacity-seconds", type=float, default=CAPACITY_SECONDS, help="To measure capacity."
    )
    parser.add_argument("--folder", type=Path, help="Folder on the disk for the archive. [the temporary one]")
    parser.add_argument("--output", type=Path, default=Path(".soak"), help="Folder for the results.")
    parser.add_argument("--docs", action="store_true", help="Write the result into docs/drills.md too.")
    given = parser.parse_args()
    if (given.bundle is None) != (given.photos is None):
        parser.error("--bundle and --photos go together")
    return given


if __name__ == "__main__":
    sys.exit(main())
