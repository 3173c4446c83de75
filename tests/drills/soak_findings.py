"""What a soak found: its samples and posts, what they come to, and what was not as it must be."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from tests.drills.soak_load import Post

# Of 30 minutes: minutes 3 to 6, when everything is warm, and the last six before the first client leaves.
WARM = (0.1, 0.2)
LAST = (0.8, 0.99)
MEMORY_GROWTH = 0.02
# A load that was not held was not the load that was asked for.
LEAST_OF_LOAD = 0.95


@dataclass(frozen=True)
class Sample:
    """The process and its answers at one moment.

    Attributes:
        seconds: since the load began.
        rss_mb: resident memory, in 2**20 bytes.
        descriptors, threads: how many the process has.
        p50_ms, p99_ms: latency of the photos answered since the sample before; None when there were none.
    """

    seconds: float
    rss_mb: float
    descriptors: int
    threads: int
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True)
class Findings:
    """The figures of a soak; `failures` says in words what was not as it must be."""

    minutes: float
    capacity_per_second: float
    load_per_second: float
    held_per_second: float
    requests: int
    verdicts: int
    refused: int
    errors: int
    p50_ms: float
    p99_ms: float
    rss_warm_mb: float
    rss_last_mb: float
    memory_growth: float
    descriptors: tuple[int, int]
    threads: tuple[int, int]
    failures: tuple[str, ...]

    def said(self) -> str:
        """The figures in a sentence, for the table of drills."""
        result = "; ".join(self.failures) or "all as it must be"
        (fewest, last_fewest), (least, last_least) = self.descriptors, self.threads
        return (
            f"{self.requests:,} requests, {self.verdicts:,} with a verdict, {self.refused:,} refused as they "
            f"must be, {self.errors} errors; {self.held_per_second:.1f} a second of "
            f"{self.capacity_per_second:.1f}; p50 {self.p50_ms:.0f} ms, p99 {self.p99_ms:.0f} ms; memory "
            f"{self.rss_warm_mb:.1f} MB warm, {self.rss_last_mb:.1f} MB last ({self.memory_growth:+.1%}); "
            f"descriptors {fewest}, then {last_fewest}; threads {least}, then {last_least}; {result}"
        )


def find(
    samples: Sequence[Sample],
    posts: Sequence[Post],
    faults: Iterable[str],
    *,
    seconds: float,
    capacity: float,
    load: float,
) -> Findings:
    """What the soak comes to.

    Memory is compared by its median in the last fifth and in the second tenth of the time. Descriptors and
    threads are compared by their least number there, since what is open for a moment comes and goes.

    Args:
        samples, posts: of the whole time.
        faults: what went wrong beside the posts, each counted as an error.
        seconds: how long photos were posted.
        capacity, load: photos per second that the service can take, and that were to be posted.
    """
    warm, last = (_within(samples, seconds, *window) for window in (WARM, LAST))
    rss_warm, rss_last = (median(sample.rss_mb for sample in window) for window in (warm, last))
    growth = rss_last / rss_warm - 1.0
    descriptors = min(s.descriptors for s in warm), min(s.descriptors for s in last)
    threads = min(s.threads for s in warm), min(s.threads for s in last)
    errors = Counter(post.error for post in posts if post.error) + Counter(faults)
    held = len(posts) / max(seconds, max(post.due + post.seconds for post in posts))
    latencies = np.array([post.seconds for post in posts if not post.error])
    p50, p99 = np.quantile(latencies, [0.5, 0.99]) if len(latencies) else (np.nan, np.nan)

    failures = [f"{count} x {error}" for error, count in errors.most_common(5)]
    if growth > MEMORY_GROWTH:
        failures.append(f"memory grew by {growth:.1%}")
    if descriptors[1] > descriptors[0]:
        failures.append(f"{descriptors[1] - descriptors[0]} descriptors more")
    if threads[1] > threads[0]:
        failures.append(f"{threads[1] - threads[0]} threads more")
    if held < LEAST_OF_LOAD * load:
        failures.append(f"the load was not held: {held:.1f} of {load:.1f} photos a second")
    return Findings(
        minutes=round(seconds / 60, 2),
        capacity_per_second=round(capacity, 2),
        load_per_second=round(load, 2),
        held_per_second=round(held, 2),
        requests=len(posts),
        verdicts=sum(not post.error and post.status == 200 for post in posts),
        refused=sum(not post.error and post.status != 200 for post in posts),
        errors=errors.total(),
        p50_ms=round(1e3 * float(p50), 1),
        p99_ms=round(1e3 * float(p99), 1),
        rss_warm_mb=round(rss_warm, 2),
        rss_last_mb=round(rss_last, 2),
        memory_growth=round(growth, 4),
        descriptors=descriptors,
        threads=threads,
        failures=tuple(failures),
    )


def _within(samples: Sequence[Sample], seconds: float, start: float, end: float) -> list[Sample]:
    window = [sample for sample in samples if start * seconds <= sample.seconds <= end * seconds]
    # A service that ended early has no sample there; that it ended is a fault already.
    return window or list(samples[-1:])
