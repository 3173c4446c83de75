"""The tables of what a GPU makes of a bundle."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.cores import usable_cores
from models.inspector import Inspector
from models.photo import Photo
from models.session import CUDA
from models.variants import SCORE_TOLERANCE
from service.batching import buckets_for
from tests.benchmarks.gpu_load import Posted
from tests.benchmarks.graph_cost import costs, floor_seconds, peak_of
from tests.benchmarks.report import machine, table

BUCKETS = buckets_for(CUDA)
PATHS = {"/inspect?overlay=none": "no overlay", "/inspect": "overlay in the answer"}
GOAL_GRAPH, GOAL_SERVICE = 8000, 2000


@dataclass(frozen=True)
class Form:
    """One form of the graph on the device.

    Attributes:
        name: in the tables.
        origin: which graph that is, in words.
        graph: its file.
        inspector: what runs it.
    """

    name: str
    origin: str
    graph: Path
    inspector: Inspector


@dataclass(frozen=True)
class Agreement:
    """How far a form is from fp32 on the CPU: photos with a verdict, largest difference of scores, flips."""

    photos: int
    score: float
    flips: int


def head_text(gpu: str, inspector: Inspector) -> str:
    place = inspector.manifest.preprocessing
    return (
        f"## On a GPU\n\n{gpu}, {machine()}; {place.width} x {place.height} px. "
        "Written by `tests/benchmarks/gpu.py`."
    )


def graph_text(
    forms: Sequence[Form],
    gpu: str,
    latencies: dict[str, list[float]],
    rates: dict[tuple[str, int], float],
    agreements: dict[str, Agreement],
) -> str:
    """The tables of the graph alone."""
    batches = [f"{size}" for size in BUCKETS]
    rows = [
        [
            form.name,
            form.origin,
            *(f"{rates[form.name, size]:.0f}" for size in BUCKETS),
            goal(rates[form.name, BUCKETS[-1]]),
        ]
        for form in forms
    ]
    origins = {form.name: form.origin for form in forms}
    parts = [
        "One photo at a time, from page-locked memory to the outputs; medians of runs in turn.",
        table(
            ["form", "graph", "p50, ms", "p99, ms"],
            [
                [name, origins[name], *(f"{1e3 * ms:.3f}" for ms in np.percentile(taken, [50, 99]))]
                for name, taken in latencies.items()
            ],
        ),
        "Photos a second by batch size.",
        table(["form", "graph", *batches, f"{GOAL_GRAPH} at {BUCKETS[-1]}"], rows),
        floor_text(forms, gpu, rates),
        f"Against fp32 on the CPU (allowed: {SCORE_TOLERANCE['fp16']} of the score, no verdict).",
        table(
            ["form", "graph", "photos", "largest difference of scores", "other verdicts", ""],
            [
                [
                    name,
                    origins[name],
                    str(a.photos),
                    f"{a.score:.4f}",
                    str(a.flips),
                    "agrees" if agrees(a) else "**differs**",
                ]
                for name, a in agreements.items()
            ],
        ),
    ]
    return "\n\n".join(part for part in parts if part)


def floor_text(forms: Sequence[Form], gpu: str, rates: dict[tuple[str, int], float]) -> str:
    """What was reached of what the GPU could do at best, by its data sheet."""
    peak = peak_of(gpu)
    if peak is None:
        return f"What {gpu} can do at best is not known to `tests/benchmarks/graph_cost.py`."
    rows = []
    for form in forms:
        for size in (1, BUCKETS[-1]):
            given = costs(form.graph, size)
            floor = floor_seconds(given, peak)
            flops, moved = sum(c.flops for c in given), sum(c.bytes for c in given)
            share = rates[form.name, size] * floor / size
            rows.append(
                [
                    form.name,
                    form.origin,
                    str(size),
                    f"{flops / size / 1e9:.1f}",
                    f"{moved / 1e6:.0f}",
                    f"{1e3 * floor:.3f}",
                    f"{share:.0%}",
                ]
            )
    return (
        "The least time: each convolution and matrix product takes as long as its operations or its bytes "
        "do at the data sheet's peak, and all else none.\n\n"
        + table(["form", "graph", "batch", "GFLOP a photo", "MB a batch", "least time, ms", "reached"], rows)
    )


def service_text(posted: dict[str, Posted], photo: Photo, graph: str) -> str:
    """The table of the whole service; `photo` is one of those that were posted, `graph` the file it runs."""
    rows = []
    for path, given in posted.items():
        p50, p99 = np.percentile(given.seconds, [50, 99]) if given.seconds else (np.nan, np.nan)
        others = sum(given.statuses.values()) - given.statuses[200]
        share = given.cpu_seconds / given.wall_seconds
        rows.append(
            [
                PATHS[path],
                graph,
                str(given.clients),
                f"{given.rate:.0f}",
                f"{1e3 * p50:.0f}",
                f"{1e3 * p99:.0f}",
                str(others),
                f"{share:.1f}",
                goal(given.rate, GOAL_SERVICE),
            ]
        )
    return (
        f"The service, archive off; clients post JPEGs of {photo.width} x {photo.height} px and share its "
        f"{usable_cores()} cores.\n\n"
        + table(
            [
                "answers",
                "graph",
                "clients",
                "photos a second",
                "p50, ms",
                "p99, ms",
                "not answered 200",
                "cores of the clients",
                f"{GOAL_SERVICE} a second",
            ],
            rows,
        )
    )


def agrees(given: Agreement) -> bool:
    return given.photos > 0 and given.flips == 0 and given.score <= SCORE_TOLERANCE["fp16"]


def goal(rate: float, wanted: float = GOAL_GRAPH) -> str:
    return "reached" if rate >= wanted else f"{rate / wanted:.0%} of it"
