"""Parts that turn and move: PaDiM with places, laid on a template, without, and a memory of patches.

    python -m tests.benchmarks.moving_parts DATA --trunk resnet50.safetensors --work DIR [--runs RUN...]

Rendered brackets at any angle and place (`turned`) and in a holder (`held`) beside the sets of real parts.
The trunk runs once over each photo and all methods see the same layers; PaDiM learns from at most 150 clean
photos of the training split, and at most 48 clean test photos are told from at most 80 photos with defects,
of any split, since nothing here learns from defects. What `--alignment auto` chooses is told as well. Each
run is kept under DIR and is not done again. Writes its section of docs/accuracy.md.
"""

import argparse
import ctypes
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.decision import CLEAN
from models.networks.free_fit import FreePadimFit
from models.networks.padim import PadimFit
from models.networks.padim_config import PadimConfig
from models.networks.resnet import Trunk, build_resnet50
from tests.benchmarks.accuracy_cases import Case, read_case
from tests.benchmarks.moving_layers import Layers, Seen, look
from tests.benchmarks.moving_memory import LARGE, LARGE_FOR, MEMORIES, SEED, bank, nearest_of
from tests.benchmarks.moving_register import fit_of, register_all
from tests.benchmarks.report import machine, table, write_section
from tests.benchmarks.watching import watched
from training.alignment import decide, paint_pairs, scores_of
from training.data.samples import Sample
from training.metrics import auroc
from training.movement import prefer_register
from training.rendering.demo import render_parts
from training.synthetic.photos import CleanPhotos
from training.trunk import load_trunk

LEARNT, GOOD, DEFECTIVE = 150, 48, 80
RENDERED = {"turned": True, "held": False}
RUNS = (
    "turned:imagenet",
    "held:imagenet",
    "metal_nut:imagenet",
    "ball_screw:imagenet",
    "magnetic_tile:imagenet",
    "turned:glint",
    "metal_nut:glint",
)
COSTS_OF = ("turned:imagenet", "metal_nut:imagenet")
METHODS = {
    "fixed": "`fixed`",
    "register": "`register`",
    "free": "`free`",
    "random 1 %": "memory, 1 % at random",
    "random 10 %": "memory, 10 % at random",
    "coreset 1 %": "memory, 1 % by coreset",
}

TEXT = """## Parts that turn and move

Image AUROC of the anomaly score, defects against good photos (`tests/benchmarks/moving_parts.py`).
`turned`: brackets as `glint render --turned` gives them, at any angle and place; `held`: the same in a
holder; 240 good ones each, with scratches, dents and stains. The memory holds patches of layer2 and layer3
(averaged over 3 x 3 cells, 1,536 channels) and takes the distance to the nearest, as PatchCore does: some
patches at random, or by its greedy coreset (on a projection to 128 dims). All maps are smoothed alike. At
most {learnt} photos are learnt from, {good} good and {defective} defective ones told apart, on one split.
`register` is `fixed` on photos laid on a template that was learnt from the photos learnt from. `auto`: what
it chose, and the AUROCs of painted defects (on a template, without places, with places); where parts lie
still it does not try the template.

{accuracy}

How the template fits: how far nine in ten photos to learn from are off at most, in pixels of the model's
input and degrees; good and defective photos that would get no verdict since they do not fit it; and what it
takes to lay a photo on it, on one core, milliseconds.

{fits}

Fitting, beside the passes through the trunk: CPU seconds and the most memory taken; and what is kept.

{costs}

{ran} Written by `tests/benchmarks/moving_parts.py`.
"""


def some(samples: list[Sample], count: int) -> list[Sample]:
    """A seeded choice of them."""
    rows = np.random.default_rng(SEED).permutation(len(samples))[:count]
    return [samples[row] for row in sorted(rows.tolist())]


def give_back_memory() -> None:
    """Return freed memory to the system, or what is taken next would not show as growth."""
    ctypes.CDLL(None).malloc_trim(0)


def judged(seen: Seen, score: Callable[[Layers], Tensor]) -> float:
    """Image AUROC."""
    good, bad = (
        torch.cat([score(layers) for layers in seen.batches(part)]).tolist()
        for part in (seen.good, seen.defective)
    )
    found = auroc([*good, *bad], [False] * len(good) + [True] * len(bad))
    assert found is not None, "both sides are tested"
    return found


@torch.inference_mode()
def measure(case: Case, trunk: Trunk) -> dict[str, Any]:
    """All methods on one set, and what `auto` makes of it."""
    parts = case.split.parts()
    clean = {name: [s for s in part if s.label == CLEAN] for name, part in parts.items()}
    bad = [s for part in parts.values() for s in part if s.label != CLEAN]
    chosen = (some(clean["train"], LEARNT), some(clean["test"], GOOD), some(bad, DEFECTIVE))
    images = [case._images(samples) for samples in chosen]
    seen = Seen(*(look(trunk, each) for each in images))
    result: dict[str, Any] = {}
    models = {}
    for name, make in (("fixed", PadimFit), ("free", FreePadimFit)):
        fit = make(PadimConfig(seed=SEED))
        give_back_memory()
        with watched() as took:
            for layers in seen.batches(seen.learnt):
                fit.add(layers)
            models[name] = fit.finish()
        result[name] = {**took, "auroc": judged(seen, lambda layers, m=models[name]: m(layers)[1])}
        result[name]["kept"] = sum(b.nbytes for b in models[name].buffers()) / 1e6
    for name, (pick, share) in MEMORIES.items():
        if share == LARGE and case.name not in LARGE_FOR:
            continue
        give_back_memory()
        with watched() as took:
            memory = pick(bank(seen), share)
        area = judged(seen, nearest_of(memory))
        result[name] = {**took, "auroc": area, "kept": memory.nbytes / 1e6}
    held_out = some(clean["calibration"], LEARNT)
    places = [case.preprocessing.place(s.height, s.width) for s in held_out]
    pairs = paint_pairs(CleanPhotos(held_out, case._images(held_out), places), SEED)
    scores = {
        name: tuple(scores_of(trunk, [model], p, "cpu")[0] for p in pairs) for name, model in models.items()
    }
    chosen = decide(scores["fixed"], scores["free"]).summary()
    turned = register_all(images, PadimConfig().stride)
    if isinstance(turned, str):
        return {**result, "register": {"why": turned}, "auto": chosen}
    fit = PadimFit(PadimConfig(seed=SEED))
    laid = Seen(*(look(trunk, each) for each in turned.laid))
    give_back_memory()
    with watched() as took:
        for layers in laid.batches(laid.learnt):
            fit.add(layers)
        model = fit.finish()
    kept = sum(b.nbytes for b in model.buffers()) / 1e6
    result["register"] = {
        **took,
        "auroc": judged(laid, lambda layers: model(layers)[1]),
        "kept": kept,
        **{name: getattr(turned, name) for name in ("refused", "ms", "still")},
        **{name: getattr(turned.learnt, name) for name in ("lowest", "moved", "turned")},
    }
    own = tuple(scores_of(trunk, [model], turned.of(p), "cpu")[0] for p in pairs)
    preferred = prefer_register({**scores, "register": own}).summary()
    if not turned.still and preferred["chosen"] == "register":
        chosen = preferred
    return {**result, "auto": {**chosen, "image_auroc": preferred["image_auroc"]}}


def write(results: dict[str, dict[str, Any]]) -> None:
    """All tables."""
    accuracy, costs, fits = [], [], []
    for run, found in results.items():
        name, trunk = run.split(":")
        auto = found["auto"]
        of = auto["image_auroc"]
        tried = " / ".join(f"{of[kind]:.2f}" for kind in ("register", "free", "fixed") if kind in of)
        areas = [found.get(method, {}).get("auroc") for method in METHODS]
        cells = ["" if area is None else f"{area:.3f}" for area in areas]
        accuracy.append([name, trunk, *cells, f"{auto['chosen']} ({tried})"])
        fits.append([name, trunk, *fit_of(found["register"])])
        dear = found["coreset 1 %"]
        for method in METHODS:
            if "auroc" not in found.get(method, {}) or run not in COSTS_OF:
                continue
            own = found[method]
            ratio = f"{own['cpu_seconds'] / dear['cpu_seconds']:.2f}"
            took = [f"{own['cpu_seconds']:.1f}", ratio, f"{own['mb']:.0f}", f"{own['kept']:.1f}"]
            costs.append([name, METHODS[method], *took])
    head = ["set", "trunk", *METHODS.values(), "`auto`"]
    fitted = ["set", "trunk", "off by, px", "turned by, °", "no verdict: good", "defective", "ms"]
    spent = ["set", "method", "CPU s", "of the coreset's", "peak, MB", "kept, MB"]
    text = TEXT.format(
        learnt=LEARNT,
        good=GOOD,
        defective=DEFECTIVE,
        accuracy=table(head, accuracy),
        fits=table(fitted, fits),
        costs=table(spent, costs),
        ran=f"{machine()}.",
    )
    write_section("accuracy.md", "moving parts", text)


def main() -> None:
    """Measure what is not there yet, and write the tables."""
    parser = argparse.ArgumentParser(description="Parts that turn and move in the picture.")
    parser.add_argument("data", type=Path, help="Folder with metal_nut, magnetic_tile and ball_screw.")
    parser.add_argument("--trunk", type=Path, required=True, help="An ImageNet ResNet50, .safetensors.")
    parser.add_argument("--work", type=Path, required=True, help="Folder that keeps what was measured.")
    parser.add_argument("--runs", nargs="*", choices=RUNS, default=RUNS)
    parser.add_argument("--no-write", dest="write", action="store_false", help="Leave docs/ as it is.")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    for run in given.runs:
        target = given.work / f"{run.replace(':', '-')}.json"
        if not target.exists():
            name, trunk_name = run.split(":")
            data = given.data
            if name in RENDERED:
                data = given.work / "rendered"
                if not (data / name).exists():
                    counts = {"good": 240, "scratched": 50, "dented": 25, "stained": 25}
                    render_parts(data / name, **counts, turned=RENDERED[name], progress=False)
            weights = load_trunk("glint" if trunk_name == "glint" else str(given.trunk))
            case = read_case(data, given.work, name, SEED)
            target.write_text(json.dumps(measure(case, build_resnet50(2, weights.state)[0])))
        print(run, target.read_text(), flush=True)
    if given.write:
        kept = {run: given.work / f"{run.replace(':', '-')}.json" for run in RUNS}
        write({run: json.loads(path.read_text()) for run, path in kept.items() if path.exists()})


if __name__ == "__main__":
    main()
