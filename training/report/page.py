"""Puts the report together and writes it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from models.inspector import Inspector
from models.manifest import LimitOrigin, Manifest
from training.comparison import Compared, NotCompared
from training.data.samples import Dataset, Sample
from training.report.cases import catches_gallery, false_rejects_gallery, misses_gallery
from training.report.comparison import comparison_section
from training.report.figures import history_figures, roc_figure, score_figures
from training.report.tables import (
    calibration_remark,
    confusion_table,
    escape_card,
    false_reject_card,
    headline,
    settings_tables,
    split_rows,
)
from training.report.templates import template
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
    comparison: Compared | NotCompared | None = None,
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
        comparison: with the part's previous bundle; None if it is the first.
    """
    test = records.get("test", ())
    manifest = inspector.manifest
    labels, rows = split_rows(splits)
    page = template("report.html.j2").render(
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
        comparison=comparison_section(comparison, inspector),
    )
    # A file name may hold bytes that are no UTF-8; a question mark stands for them.
    path.write_text(page, encoding="utf-8", errors="replace")


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
