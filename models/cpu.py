"""What this machine's CPU can do, as far as it decides which graph runs."""

from dataclasses import dataclass
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")

# Each multiplies 8-bit numbers four at a time and adds them up in 32 bits (Intel SDM: VPDPBUSD, TDPBUSD).
_INT8 = {"avx512_vnni": "AVX-512 VNNI", "avx_vnni": "AVX-VNNI", "amx_int8": "AMX"}
_WORTH_NAMING = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8")


@dataclass(frozen=True)
class CpuFeatures:
    """The instruction sets of a CPU, by the names that Linux gives them; None where they cannot be read."""

    flags: frozenset[str] | None

    @property
    def int8(self) -> str:
        """The instructions that make int8 worth while; empty if there are none, or none are known of."""
        return next((name for flag, name in _INT8.items() if flag in (self.flags or ())), "")

    def __str__(self) -> str:
        if self.flags is None:
            return "unknown"
        return ", ".join(flag for flag in _WORTH_NAMING if flag in self.flags) or "none of note"


def read_cpu_features(cpuinfo: Path = CPUINFO) -> CpuFeatures:
    """Read them from Linux; unknown on other systems.

    Args:
        cpuinfo: the file to read; the first processor stands for all.
    """
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return CpuFeatures(None)
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):  # the latter on ARM
            return CpuFeatures(frozenset(value.split()))
    return CpuFeatures(None)
