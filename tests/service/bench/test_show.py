"""What `glint bench` prints below its tables."""

import io

import pytest
from rich.console import Console

from service.bench.measures import BenchResult, Latency, Level, RawRun
from service.bench.show import show

LATENCY = Latency(mean_ms=1.0, p50_ms=1.0, p95_ms=1.0, p99_ms=1.0)


def shown(refused: dict[str, int]) -> str:
    """What is printed of a measurement whose one level refused these."""
    level = Level(
        clients=4,
        seconds=1.0,
        answered=10,
        photos_per_second=10.0,
        latency=LATENCY,
        late=0,
        refused=refused,
        lost={},
        stages_ms={},
        client_cores=0.1,
    )
    result = BenchResult(
        machine="a machine",
        libraries={},
        part="bracket",
        bundle_version="1",
        provider="CPUExecutionProvider",
        precision="fp32",
        photos="3 photos",
        seconds=1.0,
        deadline_ms=700,
        settings={"queue_size": 32},
        raw=[RawRun(batch=1, lanes=2, runs=20, photos_per_second=20.0, latency=LATENCY)],
        http=[level],
    )
    out = io.StringIO()
    show(result, Console(file=out, width=200))
    return out.getvalue()


@pytest.mark.parametrize(
    ("code", "named", "unnamed"),
    [
        ("queue_full", "32 photos at a time (GLINT_QUEUE_SIZE)", "--deadline-ms"),
        ("queue_too_long", "deadline of 700 ms (--deadline-ms", "GLINT_QUEUE_SIZE"),
    ],
)
def test_the_setting_that_refuses_photos_is_named(code: str, named: str, unnamed: str) -> None:
    text = shown({f"503 {code}": 3})
    assert named in text
    assert unnamed not in text


def test_the_share_says_what_it_is_of() -> None:
    assert "50% of the raw session's throughput, which ran 2 batches at a time, with 4 clients" in shown({})


def test_no_setting_is_named_for_what_is_wrong_with_the_photos() -> None:
    assert "GLINT_" not in shown({"415 not_an_image": 3})
