"""The tables of the accuracy benchmark, made of whatever results there are."""

from collections.abc import Callable, Iterable
from statistics import fmean, pstdev
from typing import Any

from tests.benchmarks.accuracy_cases import SEEDS, SETS
from tests.benchmarks.report import table
from training.metrics import rate_interval

Result = dict[str, Any]

# Method, opinion and what a reader calls it. The product's anomaly opinion is the first row's.
ROWS = (
    ("padim", "anomaly", "Glint's PaDiM"),
    ("padim_of_good", "anomaly", "Glint's PaDiM, without a photo of a defect"),
    ("anomalib_padim", "anomaly", "anomalib's PaDiM"),
    ("anomalib_patchcore", "anomaly", "anomalib's PatchCore, 1,000 patches"),
    ("nearest_photo", "anomaly", "the plain ImageNet network: distance to the nearest good photo"),
    ("glint", "classifier", "Glint's classifier alone"),
    ("glint", "combined", "**Glint, combined**"),
)
FIGURES = {
    "auroc": "AUROC over photos",
    "aupr": "Average precision over photos",
    "f1": "Largest F1 over photos",
    "recall": "Recall at 1 % false rejects",
}


def overview(results: list[Result]) -> str:
    """One table for each figure: a row for each method, a column for each set; mean and spread of seeds."""
    # More splits than these serve single questions, of which the other tables tell.
    results = [result for result in results if result["seed"] in SEEDS]
    seeds = sorted({result["seed"] for result in results})
    parts = [
        "## Against anomalib\n\nThe same trunk (ResNet50, ImageNet), photos, splits, "
        f"pixels and input size for all; splits with the seeds {', '.join(map(str, seeds))}, mean and "
        "standard deviation; in brackets the number of splits where it is not all of them. The photos are "
        "those of the makers of `metal_nut` (MVTec AD), `magnetic_tile`, `ball_screw` (BSData)."
    ]
    for figure, title in FIGURES.items():
        parts.append(f"### {title}\n\n{_of_sets(results, len(seeds), _over_photos(figure))}")
    parts.append(
        "### Overlap with the marked defects\n\nAU-PRO up to 30 % of good pixels, where there are masks.\n\n"
        + _of_sets([r for r in results if r["aupro"] is not None], len(seeds), _over_pixels)
    )
    return "\n\n".join(parts)


def costs(results: list[Result]) -> str:
    """What learning and judging cost, by method and set."""
    head = [
        "",
        "set",
        "learning, s",
        "CPU s",
        "of it the fit, s",
        "peak, MB",
        "one photo / its pass through the trunk",
    ]
    rows = []
    for method, opinion, title in ROWS:
        if opinion == "classifier":
            continue
        for name in SETS:
            own = [r for r in results if (r["method"], r["set"]) == (method, name)]
            if own:
                values = [
                    _mean((r.get(key) for r in own), digits)
                    for key, digits in (
                        ("seconds", 0),
                        ("cpu_seconds", 0),
                        ("fit_seconds", 1),
                        ("mb", 0),
                        ("times_trunk", 2),
                    )
                ]
                rows.append([title, name, *values])
    return (
        "## What it costs\n\nLearning from decoded photos, the passes through the trunk among it; for Glint "
        "as a whole everything that `glint train` does, from reading the photos to exports and report. "
        "All on one thread. Peak memory is above that before learning. Judging one photo in torch, trunk and "
        "all, for a pass through layer1-3 alone, medians of turns. "
        "Other work on the machine slows the seconds; CPU seconds hardly change.\n\n" + table(head, rows)
    )


def honesty(results: list[Result]) -> str:
    """The false rejects on test photos, beside the interval that the bundle claims."""
    head = ["set", "seed", "rule", "claimed (calibration)", "95 % interval", "on test photos", "inside"]
    rows = []
    for result in _products(results):
        for rule, (rejected, n) in result["found"].items():
            before, of = result["claimed"][rule]
            groups = result["groups"]
            claim = rate_interval(before, of, groups)
            inside = claim.low <= rejected / n <= claim.high
            rows.append(
                [
                    result["set"],
                    str(result["seed"]),
                    rule,
                    f"{before} of {of}" + (f" in {groups} groups" if groups < of else ""),
                    f"{100 * claim.low:.1f}-{100 * claim.high:.1f} %",
                    f"{rejected} of {n} ({100 * rejected / n:.1f} %)",
                    "yes" if inside else "**no**",
                ]
            )
    if not rows:
        return ""
    return (
        "## Do the limits keep what they claim?\n\n`--max-false-rejects 0.01`; the limits are chosen on the "
        "calibration photos alone.\n\n" + table(head, rows)
    )


def scratches(results: list[Result]) -> str:
    """How many scratched nuts the combined score finds."""
    found = [(r["seed"], *r["caught"]) for r in _products(results) if r["caught"]]
    caught, of = sum(row[1] for row in found), sum(row[2] for row in found)
    if not of:
        return ""
    each = ", ".join(f"{caught} of {of}" for _, caught, of in found)
    interval = rate_interval(caught, of)
    return (
        f"## Scratched nuts\n\nFound by the combined score at 1 % false rejects, split by split: {each}. "
        f"In all {caught} of {of}: {interval.rate:.3f} (95 % interval {interval.low:.3f}-{interval.high:.3f} "
        "if the splits shared no photos, which they do)."
    )


def _products(results: list[Result]) -> list[Result]:
    order = {name: number for number, name in enumerate(SETS)}
    return sorted((r for r in results if r["method"] == "glint"), key=lambda r: (order[r["set"]], r["seed"]))


def _over_photos(figure: str) -> Callable[[Result, str], float | None]:
    return lambda result, opinion: result["opinions"].get(opinion, {}).get(figure)


def _over_pixels(result: Result, opinion: str) -> float | None:
    # The map is the anomaly model's; the other opinions have none.
    return result["aupro"] if opinion == "anomaly" else None


def _of_sets(results: list[Result], seeds: int, value: Callable[[Result, str], float | None]) -> str:
    sets = [name for name in SETS if any(r["set"] == name for r in results)]
    rows = []
    for method, opinion, title in ROWS:
        cells, means = [], []
        for name in sets:
            own = [value(r, opinion) for r in results if (r["method"], r["set"]) == (method, name)]
            known = [each for each in own if each is not None]
            cells.append(_cell(known, seeds))
            means += [fmean(known)] if known else []
        if means:
            rows.append([title, *cells, f"{fmean(means):.3f}" if len(means) == len(sets) else ""])
    return table(["", *sets, "mean"], rows)


def _cell(values: list[float], seeds: int) -> str:
    if not values:
        return ""
    few = f" ({len(values)})" if len(values) < seeds else ""
    return f"{fmean(values):.3f} ± {pstdev(values):.3f}{few}" if len(values) > 1 else f"{values[0]:.3f}{few}"


def _mean(values: Iterable[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    return f"{fmean(known):.{digits}f}" if known else ""
