"""What the service makes of the cores: its throughput against that of the bare session, and under overload.

.venv/bin/python -m tests.benchmarks.service_throughput [--bundle BUNDLE] [--write]

The session is the service's own: the same graph, options and number of runs at a time. It and a service in
a process of its own (archive off) run in turn, A B A B, in one run. 16 clients post 640 x 480 JPEGs and get
the overlay in the answer; they share the cores with the service, and the table says what they take. Then ten
times as many photos are posted as the service can take. Without --bundle, one of the usual size is made.
"""

import argparse
import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import numpy as np

from models.cores import usable_cores
from models.inspector import Inspector
from service.batching import lanes_for
from tests.benchmarks.photos import given_photos
from tests.benchmarks.posting import Answer, own_cpu_seconds, post_at_once, post_paced, request_for
from tests.benchmarks.report import machine, table, write_section
from tests.benchmarks.resnet_bundle import make_resnet_bundle
from tests.service.live import Live, serving

CLIENTS = 16
OVERLOAD = 10
OVERLOAD_CLIENTS = 96
DEADLINES_MS = (10_000, 1_000)
PHOTOS = 16


@dataclass(frozen=True)
class Round:
    """Photos per second of the session with one run at a time, with the service's number, of the service."""

    one_at_a_time: float
    session: float
    service: float
    service_cpu_ms: float
    client_cpu_ms: float

    @property
    def ratio(self) -> float:
        """Against the better of the two sessions."""
        return self.service / max(self.one_at_a_time, self.session)


def main() -> None:
    given = arguments()
    photos = given_photos(given.photos, PHOTOS)
    with tempfile.TemporaryDirectory() as folder:
        bundle = given.bundle or make_resnet_bundle(Path(folder), photos)
        inspector = Inspector.load(bundle, "cpu", given.threads)
        callers = lanes_for(inspector.provider, given.threads)
        with serving(bundle, "--threads", str(given.threads)) as live:
            # The first round only warms up.
            rounds = [
                one_round(inspector, callers, live, photos, given.seconds) for _ in range(given.rounds + 1)
            ][1:]
            stages = mean_stages(post_at_once(live.port, requests(photos), CLIENTS, given.seconds))
            capacity = median(r.service for r in rounds)
            pushed = {ms: overload(live, photos, capacity, given.seconds, ms) for ms in DEADLINES_MS}
    text = "\n\n".join([throughput_text(rounds), stages_text(stages), overload_text(capacity, pushed)])
    print(text)
    if given.write:
        name = "the tests' own" if given.bundle is None else given.bundle.parent.name
        write_section("performance.md", "service throughput", head_text(inspector, name) + text)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Throughput of the service against the bare session.")
    parser.add_argument("--bundle", type=Path, help="A bundle to serve; one of the usual size without it.")
    parser.add_argument("--photos", type=Path, help="Folder of JPEGs; rendered ones of 640 x 480 without it.")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="CPU threads of the model.")
    parser.add_argument("--rounds", type=int, default=5, help="How often each is measured.")
    parser.add_argument("--seconds", type=float, default=8.0, help="Length of each measurement.")
    parser.add_argument("--write", action="store_true", help="Write the tables into docs/performance.md.")
    return parser.parse_args()


def requests(photos: Sequence[bytes], deadline_ms: int | None = None) -> list[bytes]:
    return [request_for(photo, deadline_ms=deadline_ms) for photo in photos]


def one_round(
    inspector: Inspector, callers: int, live: Live, photos: Sequence[bytes], seconds: float
) -> Round:
    one = session_rate(inspector, photos, 1, seconds / 2)
    several = session_rate(inspector, photos, callers, seconds / 2)
    own, server, begun = own_cpu_seconds(), live.cpu_seconds(), time.monotonic()
    answers = post_at_once(live.port, requests(photos), CLIENTS, seconds)
    took = time.monotonic() - begun
    assert all(answer.status == 200 for answer in answers), Counter(answer.status for answer in answers)
    return Round(
        one_at_a_time=one,
        session=several,
        service=len(answers) / took,
        service_cpu_ms=1e3 * (live.cpu_seconds() - server) / len(answers),
        client_cpu_ms=1e3 * (own_cpu_seconds() - own) / len(answers),
    )


def session_rate(inspector: Inspector, photos: Sequence[bytes], callers: int, seconds: float) -> float:
    """Photos per second of the bare session, on photos that are decoded and resized already."""
    tensors = [inspector.prepare(photo).tensor[None] for photo in photos]
    counts = [0] * callers
    end = time.monotonic() + seconds

    def work(caller: int) -> None:
        while time.monotonic() < end:
            inspector.run(tensors[counts[caller] % len(tensors)])
            counts[caller] += 1

    begun = time.monotonic()
    threads = [threading.Thread(target=work, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - begun)


def overload(
    live: Live, photos: Sequence[bytes], capacity: float, seconds: float, deadline_ms: int
) -> list[Answer]:
    """Ten times as many photos as the service can take, evenly paced."""
    posted = requests(photos, deadline_ms)
    return post_paced(live.port, posted, OVERLOAD_CLIENTS, OVERLOAD * capacity, seconds)


def mean_stages(answers: Sequence[Answer]) -> dict[str, float]:
    """Milliseconds by stage, as the answers tell them."""
    told = [json.loads(answer.body)["timings_ms"] for answer in answers]
    return {stage: mean(timings[stage] for timings in told) for stage in told[0]}


def head_text(inspector: Inspector, name: str) -> str:
    size = inspector.manifest.preprocessing
    return (
        f"## The service against the bare session\n\nBundle: {name}, {size.width} x {size.height} px, "
        f"{inspector.variant.precision}, {machine()}. {CLIENTS} clients post 640 x 480 JPEGs, the overlay in "
        "the answer, archive off. "
        "Written by `tests/benchmarks/service_throughput.py`.\n\n"
    )


def throughput_text(rounds: Sequence[Round]) -> str:
    ratios = [each.ratio for each in rounds]
    rows = [
        ("session, one run at a time, photos/s", f"{median(r.one_at_a_time for r in rounds):.2f}"),
        (
            "session, as many runs at a time as the service, photos/s",
            f"{median(r.session for r in rounds):.2f}",
        ),
        ("service, photos/s", f"{median(r.service for r in rounds):.2f}"),
        (
            "**service / the better session**, round by round",
            f"**{median(ratios):.3f}** ({min(ratios):.3f} to {max(ratios):.3f})",
        ),
        ("CPU time of the service per photo, ms", f"{median(r.service_cpu_ms for r in rounds):.1f}"),
        ("CPU time of the clients per photo, ms", f"{median(r.client_cpu_ms for r in rounds):.2f}"),
    ]
    return table(("median of " + str(len(rounds)) + " rounds", ""), rows)


def stages_text(stages: dict[str, float]) -> str:
    told = ", ".join(f"{stage} {ms:.1f}" for stage, ms in stages.items())
    return f"Mean milliseconds by stage under that load, waiting for a core included: {told}."


def overload_text(capacity: float, pushed: dict[int, list[Answer]]) -> str:
    rows = []
    for deadline_ms, answers in pushed.items():
        accepted = [1e3 * a.seconds for a in answers if a.status == 200]
        refused = [1e3 * a.seconds for a in answers if a.status == 503]
        others = Counter(a.status for a in answers if a.status not in (200, 503))
        rows.append(
            (
                str(deadline_ms),
                f"{len(answers)}",
                f"{len(accepted)}",
                _quantiles(accepted),
                f"{len(refused)}",
                _quantiles(refused),
                ", ".join(f"{n} x {status}" for status, n in others.items()) or "none",
            )
        )
    head = (
        "deadline, ms",
        "posted",
        "answered",
        "ms: p50, p99, max",
        "refused (503)",
        "ms: p50, p99, max",
        "other answers",
    )
    said = f"{OVERLOAD} times the capacity: {OVERLOAD * capacity:.0f} photos/s, evenly paced."
    return f"{said}\n\n{table(head, rows)}"


def _quantiles(values: Sequence[float]) -> str:
    if not values:
        return "none"
    p50, p99 = np.quantile(values, [0.5, 0.99])
    return f"{p50:.0f}, {p99:.0f}, {max(values):.0f}"


if __name__ == "__main__":
    main()
