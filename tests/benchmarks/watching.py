"""What a piece of work takes: seconds, those of all cores, and by how much memory grows at its peak."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """Fills in what its block took: `seconds`, `cpu_seconds`, and megabytes at the peak, `mb`."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _memory_mb("VmRSS")
    found: dict[str, float] = {}
    started, computed = time.perf_counter(), time.process_time()
    yield found
    found["seconds"] = time.perf_counter() - started
    found["cpu_seconds"] = time.process_time() - computed
    found["mb"] = _memory_mb("VmHWM") - before


def _memory_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(name))) / 1024
