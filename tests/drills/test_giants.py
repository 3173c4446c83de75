"""Drill: small files whose headers promise gigabytes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.conftest import DrillRecord
from tests.models.photo_files import giants
from tests.service.live import Live, serving
from tests.service.test_live import GOOD, peak_memory_kb, post

MOST_KB = 4 * 1024


@pytest.fixture(scope="module")
def live(tiny_bundles: Path) -> Iterator[Live]:
    with serving(tiny_bundles) as service:
        yield service


def refuse(live: Live, files: dict[str, bytes]) -> int:
    """Post each ten times, which must be refused; by how many kB the largest memory ever grew."""
    # Until each thread of the pool has the memory that it keeps.
    for _ in range(60):
        assert post(live, GOOD)[0] == 200
    before = peak_memory_kb(live)
    for kind, data in files.items():
        for _ in range(10):
            status, problem = post(live, data)
            assert (status, problem["code"], problem["verdict"]) == (413, "too_many_pixels", "invalid"), kind
    return peak_memory_kb(live) - before


def test_a_header_that_promises_gigabytes_costs_no_memory(live: Live, drill_record: DrillRecord) -> None:
    files = giants()
    grown = refuse(live, files)
    assert grown < MOST_KB
    drill_record(
        fault="Photos that promise gigabytes",
        provoked=f"50,000 x 50,000 pixels in the headers of small files, 10 each: {', '.join(files)}",
        expected=f"413 before anything is decoded; memory grows by less than {MOST_KB // 1024} MB",
        seen=f"{10 * len(files)} x 413; the largest memory grew by {grown / 1024:.1f} MB",
    )


def test_a_photo_just_above_the_limit_costs_no_memory_either(live: Live) -> None:
    """Below what the decoder itself calls a bomb."""
    files = {kind: data for kind, data in giants(8_100).items() if not kind.endswith("WebP")}
    assert refuse(live, files) < MOST_KB
