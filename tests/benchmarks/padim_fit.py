"""Fitting PaDiM: this project's streaming fit against anomalib's, on the same features, in one run.

.venv/bin/python -m tests.benchmarks.padim_fit

Each fit runs in a process of its own, so that its peak memory is its own; the pass through the trunk, which
both need, is left out of the time. Writes its table into docs/performance.md.
"""

import json
import resource
import subprocess
import sys
import time

from tests.benchmarks.report import machine, table, write_section

PHOTOS = (64, 256)
DIMS = 100
GRID = 56
BATCH = 16


def ours(photos: int) -> None:
    import torch

    from models.networks.padim import PadimConfig, PadimFit

    fit = PadimFit(PadimConfig(dims=DIMS, stride=4))
    baseline = peak_mb()
    layers = random_layers(BATCH)
    started = time.perf_counter()
    with torch.inference_mode():
        for _ in range(photos // BATCH):
            fit.add(layers)
        fit.finish()
    report(started, baseline)


def anomalib(photos: int) -> None:
    import torch
    from anomalib.models.components import MultiVariateGaussian

    chosen = torch.randperm(1792)[:DIMS]
    gaussian, bank = MultiVariateGaussian(), []
    baseline = peak_mb()
    layers = random_layers(BATCH)
    started = time.perf_counter()
    with torch.inference_mode():
        for _ in range(photos // BATCH):
            scaled = [torch.nn.functional.interpolate(layer, size=(GRID, GRID)) for layer in layers]
            bank.append(torch.cat(scaled, dim=1)[:, chosen])
        gaussian.fit(torch.vstack(bank))
    report(started, baseline)


def random_layers(n: int):
    import torch

    generator = torch.Generator().manual_seed(0)
    shapes = ((256, 56), (512, 28), (1024, 14))
    return [torch.randn(n, c, side, side, generator=generator) for c, side in shapes]


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(started: float, baseline: float) -> None:
    print(json.dumps({"seconds": time.perf_counter() - started, "mb": peak_mb() - baseline}))


def measure(who: str, photos: int) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.padim_fit", who, str(photos)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    rows = []
    for photos in PHOTOS:
        theirs, mine = measure("anomalib", photos), measure("ours", photos)
        row = (
            str(photos),
            f"{theirs['seconds']:.1f}",
            f"{mine['seconds']:.2f}",
            f"**{theirs['seconds'] / mine['seconds']:.0f}**",
            f"{theirs['mb']:.0f}",
            f"{mine['mb']:.0f}",
            f"**{theirs['mb'] / mine['mb']:.1f}**",
        )
        rows.append(row)
        print(*row, flush=True)
    head = ("photos", "anomalib, s", "Glint, s", "ratio", "anomalib, peak MB", "Glint, peak MB", "ratio")
    text = (
        f"## Fitting PaDiM against anomalib\n\nd = {DIMS} on the same grid of {GRID} x {GRID} (anomalib's; "
        "the default here has a quarter of the cells), random features in place of the trunk's, peak memory "
        f"above that before the fit, {machine()}. Written by `tests/benchmarks/padim_fit.py`.\n\n"
    )
    write_section("performance.md", "padim fit", text + table(head, rows))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        {"ours": ours, "anomalib": anomalib}[sys.argv[1]](int(sys.argv[2]))
    else:
        main()
