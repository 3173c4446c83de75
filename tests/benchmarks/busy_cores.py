"""Training where something else runs: threads that wait asleep, as `glint train` has them, or awake.

.venv/bin/python -m tests.benchmarks.busy_cores [--write]

torch's threads wait for each other at the end of every step. By default they keep their cores busy meanwhile
(libgomp), which is quickest as long as each has a core of its own. Here the trunk's pass over 8 photos and
PaDiM's fit on 64 run in fresh processes, in turn, alone and beside a program that keeps one core busy.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from statistics import median

from tests.benchmarks.report import machine, table, write_section

ROUNDS = 3
WAITS = {"awake": {}, "asleep": {"OMP_WAIT_POLICY": "PASSIVE"}}
_SETTINGS = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
WORK = """
import json, time
import torch
from models.networks.padim import PadimFit
from models.networks.padim_config import PadimConfig
from models.networks.resnet import build_resnet50
from tests.benchmarks.padim_fit import random_layers

trunk, layers, photos = build_resnet50(2)[0].eval(), random_layers(), torch.zeros(8, 224, 224, 3).byte()
found = []
with torch.inference_mode():
    trunk(photos)
    begun = time.perf_counter()
    trunk(photos)
    found.append(time.perf_counter() - begun)
    begun = time.perf_counter()
    fit = PadimFit(PadimConfig())
    for _ in range(4):
        fit.add(layers)
    fit.finish()
    found.append(time.perf_counter() - begun)
print(json.dumps(found))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Training where something else runs.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="How often each is measured.")
    parser.add_argument("--write", action="store_true", help="Write the table into docs/performance.md.")
    given = parser.parse_args()
    rows = []
    for words, beside in (("alone", nullcontext), ("beside a busy program", busy_core)):
        with beside():
            found = in_turn(given.rounds)
        for number, work in enumerate(("the trunk, 8 photos", "PaDiM's fit, 64 photos")):
            awake, asleep = (median(each[number] for each in found[wait]) for wait in WAITS)
            rows.append((work, words, f"{awake:.2f}", f"{asleep:.2f}", f"**{awake / asleep:.2f}**"))
            print(*rows[-1], flush=True)
    head = (
        f"## Training where something else runs\n\n{machine()}; medians of {given.rounds} rounds. "
        "Threads that wait for each other awake, as torch has them, and asleep, as `glint train` has them. "
        "Written by `tests/benchmarks/busy_cores.py`.\n\n"
    )
    if given.write:
        text = head + table(("work", "", "awake, s", "asleep, s", "awake / asleep"), rows)
        write_section("performance.md", "busy cores", text)


def in_turn(rounds: int) -> dict[str, list[list[float]]]:
    """Seconds of the two pieces of work, by how threads wait."""
    found: dict[str, list[list[float]]] = {wait: [] for wait in WAITS}
    ours = {name: value for name, value in os.environ.items() if name not in _SETTINGS}
    for _ in range(rounds):
        for wait, setting in WAITS.items():
            done = subprocess.run(
                [sys.executable, "-c", WORK], env={**ours, **setting}, capture_output=True, check=True
            )
            found[wait].append(json.loads(done.stdout))
    return found


@contextmanager
def busy_core() -> Iterator[None]:
    """Keep one core busy until the block ends."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        busy.kill()
        busy.wait()


if __name__ == "__main__":
    main()
