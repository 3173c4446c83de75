"""Fitting PaDiM: this project's streaming fit against anomalib's, on the same features, in one run.

.venv/bin/python -m tests.benchmarks.padim_fit

Each fit runs in a process of its own, so that its peak memory is its own, and in turn, A B A B. The pass
through the trunk, which both need, is left out: both get the same random features, in batches of 16 photos,
and do with them what they do while they train. Writes its table into docs/performance.md.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from statistics import median

from tests.benchmarks.report import machine, table, write_section
from tests.benchmarks.watching import watched

PHOTOS = (64, 256)
DIMS = 100
BATCH = 16
FEWEST_ROUNDS = 2  # with fewer, nothing is measured in turn
LAYERS = ("layer1", "layer2", "layer3")


def ours(photos: int, stride: int = 4) -> None:
    import torch

    from models.networks.padim import PadimFit
    from models.networks.padim_config import PadimConfig

    fit = PadimFit(PadimConfig(dims=DIMS, stride=stride))
    layers = random_layers()

    def run() -> None:
        with torch.inference_mode():
            for _ in range(photos // BATCH):
                fit.add(layers)
            fit.finish()

    report(run)


def ours_by_default(photos: int) -> None:
    from models.networks.padim_config import PadimConfig

    ours(photos, PadimConfig().stride)


def anomalib(photos: int) -> None:
    import torch
    from anomalib.models.image.padim.torch_model import PadimModel

    model = PadimModel(backbone="resnet50", layers=list(LAYERS), pre_trained=False, n_features=DIMS)
    features = dict(zip(LAYERS, random_layers(), strict=True))

    def run() -> None:
        with torch.inference_mode():
            for _ in range(photos // BATCH):
                model.memory_bank.append(model.generate_embedding(features))
            model.fit()

    report(run)


FITS = {"ours": ours, "ours_by_default": ours_by_default, "anomalib": anomalib}


def random_layers():
    import torch

    generator = torch.Generator().manual_seed(0)
    shapes = ((256, 56), (512, 28), (1024, 14))
    return [torch.randn(BATCH, c, side, side, generator=generator) for c, side in shapes]


def report(run: Callable[[], None]) -> None:
    """Print the seconds that a fit takes, those of all cores, and by how much memory grows at its peak."""
    with watched() as found:
        run()
    print(json.dumps(found))


def measure(who: str, photos: int) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.padim_fit", "--only", who]
    command += ["--photos", str(photos)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare(photos: int, rounds: int) -> list[list[str]]:
    """Rows of the table for a number of photos: anomalib's fit, then this project's two."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in FITS}
    for _ in range(rounds):
        for name, results in found.items():
            results.append(measure(name, photos))
    said = {
        "anomalib": "anomalib, 56 x 56 cells",
        "ours": "Glint, 56 x 56 cells",
        "ours_by_default": "Glint as by default, 28 x 28 cells",
    }
    kinds = ("seconds", "cpu_seconds", "mb")
    figures = {name: [median(r[kind] for r in results) for kind in kinds] for name, results in found.items()}
    rows = []
    for name, words in said.items():
        row = [words]
        for its, theirs, digits in zip(figures[name], figures["anomalib"], (2, 2, 0), strict=True):
            row += [f"{its:.{digits}f}", "" if name == "anomalib" else f"**{theirs / its:.1f}**"]
        rows.append(row)
        print(photos, *row, flush=True)
    return rows


def main() -> None:
    given = arguments()
    if given.only:
        FITS[given.only](given.photos[0])
        return
    for photos in given.photos:
        rows = compare(photos, given.rounds)
        if given.write:
            write(photos, given.rounds, rows)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fitting PaDiM against anomalib's.")
    parser.add_argument("--only", choices=FITS, help="Run one fit and print its figures.")
    parser.add_argument("--photos", type=int, nargs="+", default=PHOTOS, help="Numbers of photos.")
    parser.add_argument(
        "--rounds", type=int, default=FEWEST_ROUNDS, help="Fits of each kind and number of photos."
    )
    parser.add_argument("--no-write", dest="write", action="store_false", help="Leave docs/ as it is.")
    given = parser.parse_args()
    if given.write and not given.only and given.rounds < FEWEST_ROUNDS:
        parser.error(f"docs/ takes no fewer than --rounds {FEWEST_ROUNDS}, in turn; or use --no-write")
    return given


def write(photos: int, rounds: int, rows: list[list[str]]) -> None:
    head = ("fit", "s", "times faster", "CPU s", "times less", "peak, MB", "times less")
    text = (
        f"## Fitting PaDiM against anomalib, {photos} photos\n\nd = {DIMS}; random features in place of the "
        f"trunk's, in batches of {BATCH} photos; peak memory above that before the fit; CPU is the time of "
        f"all cores together, which other work on the machine hardly changes; rounds: {rounds}, each fit in "
        f"turn; {machine()}. Written by `tests/benchmarks/padim_fit.py`.\n\n"
    )
    write_section("performance.md", f"padim fit {photos}", text + table(head, rows))


if __name__ == "__main__":
    main()
