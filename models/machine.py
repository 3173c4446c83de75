"""What machine this is, in words that say how fast it may be."""

import platform
from pathlib import Path

from models.cores import usable_cores


def describe_machine() -> str:
    """Cores, CPU and Python in a few words, without the machine's name."""
    return f"{usable_cores()} cores of {_cpu()}, Python {platform.python_version()}"


def _cpu() -> str:
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())
