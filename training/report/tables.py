"""The report's numbers in words and tables."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.decision import ANOMALOUS, CLEAN, INVALID
from models.manifest import LimitOrigins, Manifest, RateInterval
from models.variants import describe
from training.data.samples import Sample
from training.summary import Metrics
from training.targets import asked_false_rejects

NOT_BREAKING = "\u00a0"
_NOT_ASKED = "The limits were not chosen for a share of false rejects."


@dataclass(frozen=True)
class RateCard:
    """One rate at a glance.

    Attributes:
        good_news: True, False, or None where the photos cannot tell.
        target: the share that was asked for; None if nothing was.
    """

    title: str
    value: str
    detail: str
    interval: RateInterval | None
    target: float | None
    status: str
    good_news: bool | None


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion table: `kind` is right, renamed, wrong, unknown or none; `share` of its row."""

    count: int
    share: float
    kind: str


@dataclass(frozen=True)
class Confusion:
    """Rows of true classes with their totals, columns of verdicts."""

    verdicts: tuple[str, ...]
    rows: tuple[tuple[str, int, tuple[Cell, ...]], ...]


@dataclass(frozen=True)
class SplitRow:
    """One split: its photos by class, in all, and the groups they belong to."""

    name: str
    per_class: tuple[int, ...]
    total: int
    groups: int


def percent(share: float) -> str:
    """A share 0..1 in per cent; more digits where they matter."""
    digits = 2 if 0.0 < share < 0.01 else 1
    return f"{100.0 * share:.{digits}f}{NOT_BREAKING}%"


def between(interval: RateInterval) -> str:
    """An interval in words."""
    return f"{percent(interval.low)} to {percent(interval.high)}"


def headline(metrics: Metrics) -> str:
    """The result in one sentence."""
    total = metrics.n_good + metrics.n_defective
    if not total:
        return "There was no test photo, so nothing is known of how it does on photos it has not seen."
    parts = []
    if metrics.n_defective:
        escaped = sum(figures.escaped for figures in metrics.per_class.values())
        parts.append(f"passed {escaped} of {metrics.n_defective} defective parts")
    if metrics.n_good:
        rejected = round((metrics.false_reject_rate or 0.0) * metrics.n_good)
        parts.append(f"rejected {rejected} of {metrics.n_good} good ones")
    photos = "photo" if total == 1 else "photos"
    return f"On {total} {photos} that it had not seen before, the inspector {' and '.join(parts)}."


def false_reject_card(metrics: Metrics, origins: LimitOrigins) -> RateCard:
    """False rejects against the target that the limits were chosen for, if there was one."""
    interval, target = metrics.false_reject_interval, asked_false_rejects(origins)
    if interval is None:
        return RateCard(
            "False rejects", "?", "There is no good test photo.", None, target, "Not measured.", None
        )
    count = round(interval.rate * metrics.n_good)
    status, good_news = _against(interval, target) if target is not None else (_NOT_ASKED, None)
    detail = f"{count} of {metrics.n_good} good test photos"
    return RateCard("False rejects", percent(interval.rate), detail, interval, target, status, good_news)


def escape_card(metrics: Metrics, origins: LimitOrigins) -> RateCard:
    """Escapes, against the target that the limits were chosen for, if there was one."""
    interval, target = metrics.escape_interval, origins.anomaly.max_escapes
    if interval is None:
        detail = "There is no defective test photo."
        return RateCard("Escapes", "?", detail, None, target, "Not measured.", None)
    count = sum(figures.escaped for figures in metrics.per_class.values())
    detail = f"{count} of {metrics.n_defective} defective test photos"
    good_news: bool | None
    if target is not None:
        status, good_news = _against(interval, target)
    else:
        none = "No defective part was passed."
        status = none if count == 0 else "Defective parts were passed: see the misses."
        good_news = None if count == 0 else False
        if metrics.n_defective_groups < 30:
            status += " Few photos: the interval is what counts."
    return RateCard("Escapes", percent(interval.rate), detail, interval, target, status, good_news)


def _against(interval: RateInterval, target: float) -> tuple[str, bool | None]:
    if interval.low > target:
        return f"Above the target of {percent(target)}.", False
    if interval.high <= target:
        return f"Within the target of {percent(target)}, with 95{NOT_BREAKING}% confidence.", True
    return f"In keeping with the target of {percent(target)}; too few photos to prove it.", None


def calibration_remark(seen: Metrics) -> str:
    """What both rules together did on the photos that the limits were chosen on; empty without any."""
    parts = []
    if seen.false_reject_rate is not None:
        parts.append(f"rejected {percent(seen.false_reject_rate)} of {seen.n_good} good photos")
    if seen.escape_rate is not None:
        parts.append(f"passed {percent(seen.escape_rate)} of {seen.n_defective} defective ones")
    if not parts:
        return ""
    return (
        f"On the calibration photos both rules together {' and '.join(parts)}. "
        "Test photos that do much worse would mean that the limits fit those photos too closely."
    )


def confusion_table(metrics: Metrics, manifest: Manifest) -> Confusion:
    """Photos by true class and verdict; a column for each verdict that the bundle can give."""
    given = {verdict for row in metrics.confusion.values() for verdict in row}
    verdicts = [*manifest.classes, ANOMALOUS]
    verdicts += [INVALID] if INVALID in given else []
    rows = []
    for label, counts in metrics.confusion.items():
        total = sum(counts.values())
        cells = [
            Cell(counts.get(v, 0), counts.get(v, 0) / total, _kind(label, v, counts.get(v, 0)))
            for v in verdicts
        ]
        rows.append((label, total, tuple(cells)))
    return Confusion(tuple(verdicts), tuple(rows))


def _kind(label: str, verdict: str, count: int) -> str:
    if not count:
        return "none"
    if verdict == INVALID:
        return "wrong" if label == CLEAN else "unknown"
    if label == verdict:
        return "right"
    return "wrong" if CLEAN in (label, verdict) else "renamed"


def split_rows(splits: Mapping[str, Sequence[Sample]]) -> tuple[list[str], list[SplitRow]]:
    """The classes, `clean` first, and a row for each split."""
    counts = {name: Counter(sample.label for sample in samples) for name, samples in splits.items()}
    labels = sorted({label for row in counts.values() for label in row}, key=lambda x: (x != CLEAN, x))
    rows = []
    for name, samples in splits.items():
        # A photo without a group stands alone, and counts as a group of one.
        groups = {sample.unit for sample in samples}
        rows.append(SplitRow(name, tuple(counts[name][x] for x in labels), len(samples), len(groups)))
    return labels, rows


def flatten(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as rows of dotted names and values."""
    rows: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            rows += flatten(value, f"{prefix}{name}.")
        elif isinstance(value, bool) or value is None:
            rows.append((f"{prefix}{name}", {True: "yes", False: "no", None: "none"}[value]))
        elif isinstance(value, float):
            rows.append((f"{prefix}{name}", f"{value:g}"))
        elif isinstance(value, list | tuple):
            rows.append((f"{prefix}{name}", ", ".join(map(str, value)) or "none"))
        else:
            rows.append((f"{prefix}{name}", str(value)))
    return rows


def settings_tables(manifest: Manifest) -> dict[str, list[tuple[str, str]]]:
    """What the bundle was made with, by heading."""
    photo, grid = manifest.preprocessing, manifest.grid
    preprocessing = [
        ("input size", f"{photo.height} x {photo.width} (height x width), {manifest.colour_order}"),
        ("16-bit white level", str(photo.white_level)),
        ("largest stretch before a photo is letterboxed", f"{photo.max_stretch:g}"),
        ("anomaly grid", f"{grid[0]} x {grid[1]}"),
        (
            "heatmap: colour from, limit, top",
            f"{manifest.heatmap.start:.4g}, {manifest.heatmap.limit:.4g}, {manifest.heatmap.top:.4g}",
        ),
    ]
    trunk = [
        ("name", manifest.trunk.name),
        ("licence", manifest.trunk.licence),
        ("sha256", manifest.trunk.sha256),
    ]
    return {
        "Training": flatten(manifest.training),
        "Preprocessing": preprocessing,
        "Trunk weights": trunk,
        "Agreement of the exported graphs with torch (largest differences)": [
            (name, f"{value:.3g}") for name, value in manifest.agreement.items()
        ],
        "Graphs of other precisions, against fp32 on held-out photos": [
            *((name, describe(v)) for name, v in manifest.variants.items() if name != "fp32"),
            *((name, f"left out: {reason}") for name, reason in manifest.left_out.items()),
        ],
        "Libraries": sorted(manifest.libraries.items()),
    }
