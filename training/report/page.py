"""Puts the report together and writes it."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from models.inspector import Inspector
from models.manifest import LimitOrigin, Manifest
from training.data.samples import Dataset, Sample
from training.report.cases import catches_gallery, false_rejects_gallery, misses_gallery
from training.report.figures import history_figures, roc_figure, score_figures
from training.report.tables import (
    between,
    calibration_remark,
    confusion_table,
    escape_card,
    false_reject_card,
    headline,
    percent,
    settings_tables,
    split_rows,
)
from training.summary import Metrics, Record, summarise

_SKIPPED_SHOWN = 200


def write_report(
    path: Path,
    *,
    inspector: Inspector,
    records: Mapping[str, Sequence[Record]],
    metrics: Metrics,
    dataset: Dataset,
    splits: Mapping[str, Sequence[Sample]],
    history: Sequence[Mapping[str, float]],
) -> None:
    """Write the report of a bundle as one HTML file that needs nothing beside it.

    Args:
        path: the file to write.
        inspector: the bundle's; it inspects the photos that are shown once more.
        records: inspected photos of the splits `calibration` and `test`.
        metrics: the figures of the test records.
        dataset: what the photos were read from.
        splits: which photos went to which split.
        history: the epochs of fine-tuning: `epoch`, `train_loss`, `calibration_loss`,
            `calibration_accuracy`; empty without a classifier.
    """
    test = records.get("test", ())
    manifest = inspector.manifest
    labels, rows = split_rows(splits)
    page = _template().render(
        manifest=manifest,
        provider=inspector.provider,
        headline=headline(metrics),
        cards=[escape_card(metrics), false_reject_card(metrics, manifest.limit_origins)],
        metrics=metrics,
        limits=_limit_rows(manifest),
        confusion=confusion_table(metrics, manifest),
        calibration=calibration_remark(summarise(records.get("calibration", ()))),
        figures=[roc_figure(test, metrics), *score_figures(test, manifest)],
        galleries=[
            misses_gallery(inspector, test),
            false_rejects_gallery(inspector, test),
            catches_gallery(inspector, test),
        ],
        invalid=[record for record in test if record.invalid],
        dataset=dataset,
        skipped=dataset.skipped[:_SKIPPED_SHOWN],
        split_labels=labels,
        split_rows=rows,
        grouped=any(row.groups < row.total for row in rows),
        settings=settings_tables(manifest),
        curves=history_figures(history),
    )
    # A file name may hold bytes that are no UTF-8; a question mark stands for them.
    path.write_text(page, encoding="utf-8", errors="replace")


def _template() -> Any:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(percent=percent, between=between)
    source = files("training.report").joinpath("report.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source)


def _limit_rows(manifest: Manifest) -> list[tuple[str, str, LimitOrigin | None]]:
    limits, origins = manifest.limits, manifest.limit_origins
    classifier = (
        "never fires"
        if limits.classifier is None
        else f"defect probability \u2265\u00a0{limits.classifier:.4g}"
    )
    return [
        ("classifier", classifier, origins.classifier),
        ("anomaly", f"anomaly score \u2265\u00a0{limits.anomaly:.4g}", origins.anomaly),
    ]
