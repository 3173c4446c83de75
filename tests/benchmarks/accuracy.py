"""Accuracy on photos of real parts, against anomalib's PaDiM and PatchCore and a plain ImageNet network.

    python -m tests.benchmarks.accuracy ../shared/data --trunk ../shared/weights/FILE --work DIR

Every method gets the same photos, splits, pixels, input size and trunk; several splits, each with its own
seed. Each run is a process of its own. What was measured is kept under DIR and is not measured again, so
that a run that was broken off goes on. Writes its tables into docs/accuracy.md.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.accuracy_cases import case_parser, read_case
from tests.benchmarks.accuracy_tables import Result, costs, honesty, overview, scratches
from tests.benchmarks.report import machine, write_section

# Which of a run's opinions there are is the method's to say; see `accuracy_methods`.
METHODS = ("glint", "padim", "padim_of_good", "anomalib_padim", "anomalib_patchcore", "nearest_photo")


def main() -> None:
    """Run what is asked for and not there yet, and write the tables."""
    given = arguments()
    if given.only:
        measure(given, *given.only)
        return
    for name in given.sets:
        for seed in given.seeds:
            for method in given.methods:
                target = place(given.work, name, seed, method)
                if not target.exists():
                    run(given, name, seed, method)
                print(target.stem, target.read_text().strip(), flush=True)
    if given.write:
        write(given.work)


def arguments() -> argparse.Namespace:
    parser = case_parser("Accuracy against anomalib on photos of real parts.")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument(
        "--only", nargs=3, metavar=("SET", "SEED", "METHOD"), help="One run, in this process."
    )
    return parser.parse_args()


def run(given: argparse.Namespace, name: str, seed: int, method: str) -> None:
    """One run in a process of its own, so that its memory is its own."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.accuracy", str(given.data)]
    command += ["--trunk", str(given.trunk), "--work", str(given.work), "--only", name, str(seed), method]
    # One thread each: times are compared on a machine that may have other work.
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def measure(given: argparse.Namespace, name: str, seed: str, method: str) -> None:
    """Measure one method on one split, and keep the result."""
    from tests.benchmarks import accuracy_methods

    case = read_case(given.data, given.work, name, int(seed))
    found: Result = getattr(accuracy_methods, method)(case, given.trunk, given.work)
    target = place(given.work, name, int(seed), method)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"set": name, "seed": int(seed), "method": method, **found}) + "\n")


def place(work: Path, name: str, seed: int, method: str) -> Path:
    """Where a result is kept."""
    return work / "results" / f"{name}-{seed}-{method}.json"


def write(work: Path) -> None:
    """Write every table that the results at hand allow."""
    results: list[Result] = [json.loads(path.read_text()) for path in sorted((work / "results").glob("*"))]
    parts = [table(results) for table in (overview, costs, honesty, scratches)]
    ran = f"{machine()}. Written by `tests/benchmarks/accuracy.py`."
    write_section("accuracy.md", "accuracy", "\n\n".join([part for part in (*parts, ran) if part]))


if __name__ == "__main__":
    main()
