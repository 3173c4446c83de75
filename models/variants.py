"""Which of a bundle's graphs runs, and why: one pure function."""

from dataclasses import dataclass
from typing import Literal

from models.cpu import CpuFeatures
from models.errors import PrecisionError
from models.manifest import Manifest, Variant
from models.precision import Precision, WantedPrecision

# How far a graph may be from fp32 on held-out photos to be taken unasked: the largest difference of scores.
SCORE_TOLERANCE: dict[Precision, float] = {"fp32": 0.0, "int8": 0.01, "fp16": 0.005}


@dataclass(frozen=True)
class Choice:
    """The graph that runs.

    Attributes:
        precision: of its numbers; also its name in the manifest.
        file: its name in the bundle.
        reason: why it was chosen, in plain words.
    """

    precision: Precision
    file: str
    reason: str


def why_not(variant: Variant) -> str:
    """What keeps a graph from being taken unasked: how it disagrees with fp32; empty if it agrees."""
    agreement, allowed = variant.agreement, SCORE_TOLERANCE[variant.precision]
    if variant.precision == "fp32":
        return ""
    if agreement is None or agreement.photos == 0:
        return "it was never compared with fp32"
    if agreement.flips:
        return f"{agreement.flips} of {agreement.photos} photos get another verdict than in fp32"
    if not agreement.score <= allowed:
        return f"scores differ from fp32 by up to {agreement.score:.4f} (allowed: {allowed:g})"
    return ""


def describe(variant: Variant) -> str:
    """How far a graph is from fp32, in plain words."""
    agreement = variant.agreement
    if agreement is None:
        return "not compared with fp32"
    turned = f"{agreement.flips} verdicts turned" if agreement.flips else "no verdict turned"
    return f"scores within {agreement.score:.4f} of fp32 on {agreement.photos} photos, {turned}"


def choose_variant(
    manifest: Manifest, device: Literal["cpu", "cuda"], cpu: CpuFeatures, wanted: WantedPrecision = "auto"
) -> Choice:
    """Choose the graph for a device.

    Unasked, int8 runs on a CPU that has instructions for it and fp16 on a GPU, where the bundle has that
    graph and it agrees with fp32; fp32 runs everywhere else.

    Args:
        manifest: of the bundle.
        device: where it is to run.
        cpu: what the CPU can do.
        wanted: what was asked for; it is taken whether or not it agrees.

    Raises:
        PrecisionError: when the bundle has not what was asked for, or the device cannot run it.
    """
    if wanted == "auto":
        return _choose_unasked(manifest, device, cpu)
    if wanted == "int8" and device == "cuda":
        raise PrecisionError("int8 runs on CPUs only.", "Use --device cpu, or --precision auto.")
    if wanted not in manifest.variants:
        has = ", ".join(manifest.variants)
        raise PrecisionError(
            f"The bundle {manifest.part} {manifest.version} has no {wanted} graph, only {has}"
            f"{_said(manifest, wanted)}.",
            "Use --precision auto, or train it again with `glint train`.",
        )
    return _choice(manifest, wanted, "it was asked for")


def _choose_unasked(manifest: Manifest, device: Literal["cpu", "cuda"], cpu: CpuFeatures) -> Choice:
    faster: Precision = "fp16" if device == "cuda" else "int8"
    if device == "cpu" and not cpu.int8:
        reason = "the CPU has neither VNNI nor AMX, for which int8 is meant"
        return _choice(
            manifest, "fp32", reason if cpu.flags is not None else "what the CPU can do is not known"
        )
    if faster not in manifest.variants:
        return _choice(manifest, "fp32", f"the bundle has no {faster} graph{_said(manifest, faster)}")
    if reason := why_not(manifest.variants[faster]):
        return _choice(manifest, "fp32", f"{faster} is not trusted: {reason}")
    return _choice(
        manifest,
        faster,
        "it agrees with fp32, and " + (cpu.int8 if device == "cpu" else "the GPU") + " makes it fast",
    )


def _said(manifest: Manifest, precision: Precision) -> str:
    """What training said of a graph that it left out."""
    reason = manifest.left_out.get(precision, "")
    return f" ({reason})" if reason else ""


def _choice(manifest: Manifest, precision: Precision, reason: str) -> Choice:
    return Choice(precision, manifest.variants[precision].file, reason)
