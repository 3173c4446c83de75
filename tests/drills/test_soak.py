"""The arithmetic of the soak: what passes, and each thing that must not."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.drills.soak import soak
from tests.drills.soak_findings import Findings, Sample, find
from tests.drills.soak_load import Post, album, with_expected_verdicts
from tests.drills.soak_picture import picture
from tests.service.live import serving

SECONDS, STEP = 1800.0, 10.0


def steady() -> list[Sample]:
    """A process that warms up in its first two minutes, then stays as it is."""
    return [
        Sample(
            seconds=STEP * n,
            rss_mb=min(500.0, 300.0 + 20.0 * n),
            # In every second sample a photo is being written, by a thread that comes and goes.
            descriptors=20 + n % 2,
            threads=min(12, 8 + n) + n % 2,
            p50_ms=40.0,
            p99_ms=90.0,
        )
        for n in range(1, 181)
    ]


def answered(rate: float = 8.0) -> list[Post]:
    """A tenth refused as it must be, everything answered within 50 ms."""
    count = int(rate * SECONDS)
    return [Post(n / rate, 0.05, 422 if n % 10 == 0 else 200, "") for n in range(count)]


def findings(
    samples: list[Sample] | None = None, posts: list[Post] | None = None, faults: tuple[str, ...] = ()
) -> Findings:
    return find(
        steady() if samples is None else samples,
        answered() if posts is None else posts,
        faults,
        seconds=SECONDS,
        capacity=10.0,
        load=8.0,
    )


def after(minute: float, **change: float) -> list[Sample]:
    """The steady process, changed from that minute on."""
    return [replace(sample, **change) if sample.seconds > 60 * minute else sample for sample in steady()]


def test_a_process_that_grows_only_while_it_warms_up_passes() -> None:
    found = findings()
    assert found.failures == ()
    assert (found.requests, found.verdicts, found.refused, found.errors) == (14_400, 12_960, 1_440, 0)
    assert (found.rss_warm_mb, found.rss_last_mb, found.memory_growth) == (500.0, 500.0, 0.0)
    assert (found.descriptors, found.threads) == ((20, 20), (12, 12))
    assert (found.p50_ms, found.held_per_second) == (50.0, 8.0)
    assert "14,400 requests" in found.said()
    assert "all as it must be" in found.said()


def test_memory_may_grow_by_two_percent_and_no_more() -> None:
    assert findings(after(20, rss_mb=509.9)).failures == ()
    assert findings(after(20, rss_mb=511.0)).failures == ("memory grew by 2.2%",)


def test_a_peak_between_the_two_windows_is_no_growth() -> None:
    peak = [replace(s, rss_mb=900.0) if 600 < s.seconds < 1200 else s for s in steady()]
    assert findings(peak).failures == ()


@pytest.mark.parametrize(
    ("change", "failure"),
    [({"descriptors": 21}, "1 descriptors more"), ({"threads": 14}, "2 threads more")],
)
def test_descriptors_and_threads_must_not_grow(change: dict[str, float], failure: str) -> None:
    assert findings(after(20, **change)).failures == (failure,)


def test_each_error_is_counted_and_is_neither_a_verdict_nor_a_refusal() -> None:
    posts = answered()
    posts[5] = replace(posts[5], status=503, error="status 503")
    posts[20] = replace(posts[20], status=200, error="status 200, clean in place of invalid")
    posts[7] = replace(posts[7], status=None, error="connection lost")
    found = findings(posts=posts, faults=("/readyz: 503",))
    assert (found.errors, found.verdicts, found.refused) == (4, 12_958, 1_439)
    assert len(found.failures) == 4


def test_a_load_that_was_not_held_does_not_count() -> None:
    assert findings(posts=answered(7.7)).failures == ()
    assert findings(posts=answered(7.4)).failures == ("the load was not held: 7.4 of 8.0 photos a second",)


def test_a_service_that_ended_early_is_not_taken_for_a_steady_one() -> None:
    found = findings(steady()[:10], answered()[:800], ("exit code 70",))
    assert "1 x exit code 70" in found.failures


@pytest.mark.slow
def test_a_short_soak_of_a_real_service(tiny_bundles: Path, tmp_path: Path) -> None:
    with serving(tiny_bundles, archive=tmp_path) as live:
        mixed = with_expected_verdicts(live.port, album(None))
        found, samples = soak(live, mixed, seconds=3.0, capacity_seconds=1.0)
    assert found.errors == 0, found.failures
    assert found.verdicts > found.refused > 0
    assert min(sample.threads for sample in samples) > 0
    assert picture(samples).shape[2] == 3
