"""Inspecting photos whose truth is known, by the very path that the service takes."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.answer import AnomalyOpinion, ClassifierOpinion, ImageFacts, Inspection
from models.decision import INVALID
from models.errors import DatasetError, PhotoError
from models.inspector import Inspector, Outputs, Prepared
from models.manifest import RateInterval
from models.precision import WantedPrecision
from models.session import Device
from training.data.layouts import read_dataset
from training.data.samples import Sample, Skipped
from training.progress import track
from training.sign_off import DEFECT_RATE, Estimate
from training.summary import Metrics, Record, share_of_defect, summarise

__all__ = [
    "Evaluation",
    "Metrics",
    "Record",
    "evaluate_bundle",
    "inspect_samples",
    "print_evaluation",
    "summarise",
]

# Decoded photos held ready while the graph runs; each may take tens of megabytes.
_AHEAD = 4
_DECODERS = 2
_FLOAT16_MAX = np.float32(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Evaluation:
    """What `glint evaluate` found.

    Attributes:
        n_left_out: photos left out because the bundle was trained or calibrated on them.
        n_seen: such photos that were taken in all the same, as asked for.
        skipped: files that could not be read, with the reason.
    """

    metrics: Metrics
    records: tuple[Record, ...]
    bundle: Path
    part: str
    version: str
    provider: str
    precision: str
    photos: Path
    layout: str
    n_left_out: int
    n_seen: int
    skipped: tuple[Skipped, ...]

    def as_json(self) -> dict[str, Any]:
        """The object that `glint evaluate --json` prints: the metrics, and what they were measured on."""
        return {
            **self.metrics.model_dump(mode="json"),
            "part": self.part,
            "bundle": str(self.bundle),
            "bundle_version": self.version,
            "provider": self.provider,
            "precision": self.precision,
            "photos": str(self.photos),
            "layout": self.layout,
            "n_left_out": self.n_left_out,
            "n_seen": self.n_seen,
            "skipped": [{"file": skipped.name, "reason": skipped.reason} for skipped in self.skipped],
        }


def inspect_samples(
    inspector: Inspector, samples: Sequence[Sample], *, title: str, progress: bool
) -> list[Record]:
    """Inspect photos one by one as the service would, decoding ahead in threads.

    A photo that the service would refuse gets an `invalid` answer that gives the reason.
    """
    records = []
    upcoming = iter(samples)
    with ThreadPoolExecutor(_DECODERS) as pool:
        ahead = deque(pool.submit(_prepare, inspector, sample) for sample in islice(upcoming, _AHEAD))
        for sample in track(samples, title, enabled=progress):
            prepared = ahead.popleft().result()
            ahead.extend(pool.submit(_prepare, inspector, following) for following in islice(upcoming, 1))
            records.append(_record(inspector, sample, prepared))
    return records


def evaluate_bundle(
    photos: Path,
    bundle: Path,
    *,
    device: Device,
    include_all: bool,
    progress: bool,
    precision: WantedPrecision = "auto",
    defect_rate: float = DEFECT_RATE,
) -> Evaluation:
    """Inspect a folder of labelled photos with a bundle.

    Photos that the bundle was trained or calibrated on are known by their digests, of the bytes or of the
    pixels, and left out, unless `include_all`. `defect_rate` is the share of defective parts on the line.

    Raises:
        BundleError, DeviceError, PrecisionError: when the bundle cannot be loaded as asked for.
        DatasetError: when the folder cannot be read, or holds no photo that the bundle has not seen.
    """
    inspector = Inspector.load(bundle, device, precision=precision)
    manifest = inspector.manifest
    dataset = read_dataset(photos, white_level=manifest.preprocessing.white_level, progress=progress)
    used = [item for item in inspector.bundle.splits() if item.split in ("train", "calibration")]
    seen = {digest for item in used for digest in (item.sha256, item.pixels_sha256)} - {""}
    unseen = [s for s in dataset.samples if seen.isdisjoint((s.sha256, s.pixels_sha256))]
    n_seen = len(dataset.samples) - len(unseen)
    chosen = list(dataset.samples) if include_all else unseen
    if not chosen:
        raise DatasetError(
            f"{photos} holds no photo to evaluate on: {n_seen} were used to train or calibrate {bundle}, "
            f"and {len(dataset.skipped)} files could not be used.",
            "Name photos that the bundle has not seen, or take all of them in with --all.",
        )
    records = inspect_samples(inspector, chosen, title="Inspecting", progress=progress)
    return Evaluation(
        metrics=summarise(records, defect_rate),
        records=tuple(records),
        bundle=bundle,
        part=manifest.part,
        version=manifest.version,
        provider=inspector.provider,
        precision=inspector.variant.precision,
        photos=photos,
        layout=dataset.layout,
        n_left_out=0 if include_all else n_seen,
        n_seen=n_seen if include_all else 0,
        skipped=tuple(dataset.skipped),
    )


def print_evaluation(evaluation: Evaluation, console: Console | None = None) -> None:
    """Print an evaluation for people, on stdout unless another console is given."""
    console = console or Console(highlight=False)
    metrics = evaluation.metrics
    for line in _what_was_measured(evaluation):
        console.print(line, markup=False, soft_wrap=True)
    console.print()
    table = Table("measure", "value", "photos", "95 % interval", box=None, padding=(0, 3, 0, 0))
    rates = (
        ("false rejects", metrics.false_reject_interval, metrics.n_good, "good"),
        ("escapes", metrics.escape_interval, metrics.n_defective, "defective"),
    )
    for name, rate, total, kind in rates:
        table.add_row(name, *_rate_cells(rate, total, kind))
    for name, value in _areas(metrics).items():
        table.add_row(name, "none" if value is None else f"{value:.4f}")
    for each in metrics.recall_at:
        low, high = each.interval.low, each.interval.high
        cells = (f"{each.recall:.2%}", f"{each.caught} of {metrics.n_defective} defective")
        table.add_row(f"recall at {each.false_rejects:.1%} false rejects", *cells, f"{low:.2%} to {high:.2%}")
    console.print(table)
    console.print()
    console.print(_cost_table(metrics))
    if metrics.per_class:
        console.print()
        console.print(_class_table(metrics))


def _what_was_measured(evaluation: Evaluation) -> list[str]:
    metrics = evaluation.metrics
    lines = [
        f"{evaluation.part} {evaluation.version} in {evaluation.precision} on {evaluation.provider}",
        f"{metrics.n_good + metrics.n_defective} photos of {evaluation.photos} ({evaluation.layout})",
    ]
    if evaluation.n_left_out:
        lines.append(
            f"{evaluation.n_left_out} more are left out, since the bundle was made from them (see --all)"
        )
    if evaluation.n_seen:
        lines.append(f"{evaluation.n_seen} of them were used to make the bundle, so the figures flatter it")
    if metrics.n_invalid:
        lines.append(
            f"{metrics.n_invalid} of them got no verdict (`invalid`): never passed, false rejects if good"
        )
    if metrics.quality_refusals:
        by = ", ".join(f"{name} {count}" for name, count in metrics.quality_refusals.items())
        lines.append(f"outside the quality gate: {by}")
    if evaluation.skipped:
        lines.append(f"{len(evaluation.skipped)} files could not be used:")
        lines += [f"  {skipped.name}: {skipped.reason}" for skipped in evaluation.skipped]
    return lines


def _areas(metrics: Metrics) -> dict[str, float | None]:
    return {
        "AUROC, combined score": metrics.image_auroc.combined,
        "AUROC, classifier": metrics.image_auroc.classifier,
        "AUROC, anomaly": metrics.image_auroc.anomaly,
        "pixel AUROC": metrics.pixel_auroc,
        "AU-PRO (30 %)": metrics.aupro,
        "AU-PRO (5 %)": metrics.aupro_5,
    }


def _cost_table(metrics: Metrics) -> Table:
    cost = metrics.cost
    heading = f"of {cost.parts} parts, {cost.defect_rate:.2%} of them defective"
    table = Table(heading, "value", "95 % interval", box=None, padding=(0, 3, 0, 0))
    for name, estimate in (("false rejects", cost.false_rejects), ("escapes", cost.escapes)):
        table.add_row(name, *_estimate_cells(estimate, "{:.1f}"))
    table.add_row("defective among the rejected", *_estimate_cells(cost.positive_predictive_value, "{:.1%}"))
    return table


def _estimate_cells(estimate: Estimate | None, form: str) -> tuple[str, str]:
    if estimate is None:
        return "none", ""
    return form.format(estimate.value), f"{form.format(estimate.low)} to {form.format(estimate.high)}"


def _rate_cells(rate: RateInterval | None, total: int, kind: str) -> tuple[str, str, str]:
    if rate is None:
        return "none", f"no {kind} photos", ""
    count = round(rate.rate * total)
    return f"{rate.rate:.2%}", f"{count} of {total} {kind}", f"{rate.low:.2%} to {rate.high:.2%}"


def _class_table(metrics: Metrics) -> Table:
    table = Table(
        "defect class", "photos", "caught", "escaped", "named right", box=None, padding=(0, 3, 0, 0)
    )
    for name, figures in metrics.per_class.items():
        named = "not a class of the bundle" if figures.named_right is None else str(figures.named_right)
        # Class names come from folder names, and square brackets in them are no markup.
        table.add_row(Text(name), str(figures.n), str(figures.caught), str(figures.escaped), named)
    return table


def _prepare(inspector: Inspector, sample: Sample) -> Prepared | PhotoError:
    try:
        return inspector.prepare(sample.path.read_bytes())
    except PhotoError as error:
        return error
    except OSError as error:
        problem = f"{sample.path} cannot be read: {error.strerror}."
        return PhotoError("unreadable", problem, "Check the path and its permissions.")


def _record(inspector: Inspector, sample: Sample, prepared: Prepared | PhotoError) -> Record:
    share = share_of_defect(sample)
    if isinstance(prepared, PhotoError):
        return Record(sample, _refused(inspector, sample, prepared), None, share)
    outputs = inspector.run(prepared.tensor[None])[0]
    inspection = inspector.answer(prepared, outputs)
    if inspection.verdict == INVALID:
        return Record(sample, inspection, None, share)
    return Record(sample, inspection, _compact(inspector, prepared, outputs), share)


def _compact(inspector: Inspector, prepared: Prepared, outputs: Outputs) -> npt.NDArray[np.float16]:
    return np.minimum(inspector.photo_map(prepared, outputs), _FLOAT16_MAX).astype(np.float16)


def _refused(inspector: Inspector, sample: Sample, error: PhotoError) -> Inspection:
    limits = inspector.manifest.limits
    return Inspection(
        id=sample.sha256[:32],
        verdict=INVALID,
        score=None,
        needs_review=True,
        review_reasons=[error.problem],
        rules=[],
        classifier=ClassifierOpinion(probabilities={}, defect_probability=None, limit=limits.classifier),
        anomaly=AnomalyOpinion(score=None, limit=limits.anomaly),
        regions=[],
        part=inspector.manifest.part,
        bundle_version=inspector.manifest.version,
        provider=inspector.provider,
        provider_fallback=inspector.provider_fallback,
        precision=inspector.variant.precision,
        image=ImageFacts(
            width=sample.width,
            height=sample.height,
            sha256=sample.sha256,
            media_type="application/octet-stream",
            bit_depth=sample.bit_depth,
            letterboxed=False,
        ),
        timings_ms={},
    )
