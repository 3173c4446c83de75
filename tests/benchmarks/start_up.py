"""What the service's start costs, and what an optimised graph kept on disk would save.

.venv/bin/python -m tests.benchmarks.start_up [--bundle BUNDLE] [--write]

Everything runs in fresh processes, in turn; the files are in the page cache, and imports are compiled to
bytecode, as the images hold them. CPU time is that of all threads, user and system.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from models.bundle import Bundle
from tests.benchmarks.photos import bracket_photos
from tests.benchmarks.report import machine, table, write_section
from tests.benchmarks.resnet_bundle import make_resnet_bundle
from tests.service.live import serving, wait_until_answering, wait_until_ready

ROUNDS = 5
# A service ends once; to take apart what was imported is no part of its start.
IMPORT = "import os, service.app; os._exit(0)"
BARE = "import os; os._exit(0)"
SESSION = """
import sys
import onnxruntime as ort

options = ort.SessionOptions()
options.log_severity_level = 3
options.add_session_config_entry("session.intra_op.allow_spinning", "0")
if sys.argv[2] == "as_it_is":
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
if len(sys.argv) > 3:
    options.optimized_model_filepath = sys.argv[3]
if sys.argv[2] != "none":
    ort.InferenceSession(open(sys.argv[1], "rb").read(), options, providers=["CPUExecutionProvider"])
"""

Cost = tuple[float, float]


def main() -> None:
    given = arguments()
    # Where it is set, imports may be compiled anew by every process.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    process_cost(IMPORT)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = given.bundle or make_resnet_bundle(folder, bracket_photos(4))
        imports = [(process_cost(BARE), process_cost(IMPORT)) for _ in range(given.rounds)]
        starts = [start_cost(bundle, folder / "archive") for _ in range(given.rounds)]
        graphs = session_costs(bundle, folder, given.rounds)
    text = "\n\n".join([start_text(imports, starts), session_text(graphs)])
    print(text)
    if given.write:
        head = (
            f"## Start-up\n\n{machine()}; imports compiled to bytecode; medians of {given.rounds} rounds. "
            "Written by `tests/benchmarks/start_up.py`.\n\n"
        )
        write_section("performance.md", "start-up", head + text)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What the service's start costs.")
    parser.add_argument("--bundle", type=Path, help="A bundle to serve; one of the usual size without it.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="How often each is measured.")
    parser.add_argument("--write", action="store_true", help="Write the tables into docs/performance.md.")
    return parser.parse_args()


def process_cost(code: str, *arguments: str) -> Cost:
    """Wall and CPU seconds of a Python process that runs the code."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)
    took, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def start_cost(bundle: Path, archive: Path) -> tuple[Cost, Cost]:
    """Wall and CPU seconds until /healthz answers, and until /readyz says yes."""
    begun = time.monotonic()
    with serving(bundle, "--threads", str(os.cpu_count()), archive=archive, ready=False) as live:
        wait_until_answering(live)
        alive = time.monotonic() - begun, live.cpu_seconds()
        wait_until_ready(live)
        return alive, (time.monotonic() - begun, live.cpu_seconds())


def session_costs(bundle: Path, folder: Path, rounds: int) -> dict[str, Cost]:
    """Seconds of opening the graph as the service does, and its optimised form; less the import."""
    opened = Bundle.open(bundle)
    graph = str(opened.file(opened.manifest.variants["fp32"].file))
    optimised = str(folder / "optimised.onnx")
    process_cost(SESSION, graph, "optimise", optimised)
    wanted = {"import": (graph, "none"), "plain": (graph, "optimise"), "optimised": (optimised, "as_it_is")}
    seen: dict[str, list[Cost]] = {name: [] for name in wanted}
    for _ in range(rounds):
        for name, given in wanted.items():
            seen[name].append(process_cost(SESSION, *given))
    medians = {
        name: (median(w for w, _ in costs), median(c for _, c in costs)) for name, costs in seen.items()
    }
    wall, cpu = medians.pop("import")
    return {name: (w - wall, c - cpu) for name, (w, c) in medians.items()}


def start_text(imports: list[tuple[Cost, Cost]], starts: list[tuple[Cost, Cost]]) -> str:
    rows = [
        ("`import service.app`, the interpreter's own start and end left out", *_between(imports)),
        ("from the command to /healthz", *_medians([alive for alive, _ in starts])),
        (
            "from the command to ready, one bundle, archive in SQLite",
            *_medians([ready for _, ready in starts]),
        ),
    ]
    return table(("", "wall, s", "CPU, s"), rows)


def session_text(costs: dict[str, Cost]) -> str:
    rows = [
        ("the bundle's graph", *_shown(costs["plain"])),
        ("the same graph, optimised beforehand and kept on disk", *_shown(costs["optimised"])),
    ]
    return "Opening a session, for which an optimised graph might be kept:\n\n" + table(
        ("", "wall, s", "CPU, s"), rows
    )


def _between(pairs: list[tuple[Cost, Cost]]) -> tuple[str, str]:
    return _medians([(b[0] - a[0], b[1] - a[1]) for a, b in pairs])


def _medians(costs: list[Cost]) -> tuple[str, str]:
    return _shown((median(wall for wall, _ in costs), median(cpu for _, cpu in costs)))


def _shown(cost: Cost) -> tuple[str, str]:
    return f"{cost[0]:.2f}", f"{cost[1]:.2f}"


if __name__ == "__main__":
    main()
