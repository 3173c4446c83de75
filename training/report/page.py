"""Puts the report together and writes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from models.inspector import Inspector
from models.manifest import Manifest
from training.comparison import Compared, NotCompared
from training.data.samples import Dataset, Sample
from training.report.cases import (
    Gallery,
    catches_gallery,
    false_rejects_gallery,
    misses_gallery,
    suspects_gallery,
)
from training.report.comparison import comparison_section
from training.report.costs import cost_rows, size_rows
from training.report.figures import Figure, history_figures, roc_figure, score_figures
from training.report.limits import limit_rows
from training.report.painted import PaintedSection, painted_section
from training.report.reliability import reliability_figure
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
from training.summary import Metrics, Record, groups_remark, summarise
from training.synthetic.photos import PaintedPhoto, PaintedPhotos

if TYPE_CHECKING:
    # It loads torch, which `glint limits` does without.
    from training.suspects import Suspect

_SKIPPED_SHOWN = 200


@dataclass(frozen=True)
class Contents:
    """What a report tells of.

    Attributes:
        manifest: of the bundle.
        provider: what inspected the photos.
        records: inspected photos of the splits `calibration` and `test`.
        metrics: the figures of the test records.
        dataset: what the photos were read from.
        splits: which photos went to which split.
        galleries: the photos to look at; none where no photo was at hand.
        curves: of the training.
        changes: what is told, with the earlier limits, with these; empty for a bundle that was trained.
        earlier: the file with the report of the version that has the earlier limits, beside this one.
        comparison: the section on the part's previous bundle; empty if there is none.
        painted: the section on painted defects; None if there are none.
    """

    manifest: Manifest
    provider: str
    records: Mapping[str, Sequence[Record]]
    metrics: Metrics
    dataset: Dataset
    splits: Mapping[str, Sequence[Sample]]
    galleries: Sequence[Gallery]
    curves: Sequence[Figure]
    changes: Sequence[tuple[str, str, str]] = ()
    earlier: str = ""
    comparison: Markup = field(default_factory=Markup)
    painted: PaintedSection | None = None


def write_report(
    path: Path,
    *,
    inspector: Inspector,
    records: Mapping[str, Sequence[Record]],
    metrics: Metrics,
    dataset: Dataset,
    splits: Mapping[str, Sequence[Sample]],
    history: Sequence[Mapping[str, float]],
    suspects: "Sequence[Suspect]" = (),
    comparison: Compared | NotCompared | None = None,
    painted: PaintedPhotos | None = None,
    stand_ins: Sequence[PaintedPhoto] = (),
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
        suspects: photos given as good that PaDiM should perhaps not have learnt from.
        comparison: with the part's previous bundle; None if it is the first.
        painted: the photos with painted defects, if there are any.
        stand_ins: those of them that training stopped on.
    """
    test = records.get("test", ())
    galleries = [
        misses_gallery(inspector, test),
        false_rejects_gallery(inspector, test),
        catches_gallery(inspector, test),
    ]
    if suspects:
        galleries.append(suspects_gallery(inspector, suspects))
    curves = history_figures(history)
    write_page(
        path,
        Contents(
            inspector.manifest,
            inspector.provider,
            records,
            metrics,
            dataset,
            splits,
            galleries,
            curves,
            comparison=comparison_section(comparison, inspector),
            painted=painted_section(painted, stand_ins) if painted else None,
        ),
    )


def write_page(path: Path, contents: Contents) -> None:
    """Write a report as one HTML file."""
    test, manifest = contents.records.get("test", ()), contents.manifest
    metrics, dataset = contents.metrics, contents.dataset
    labels, rows = split_rows(contents.splits)
    page = template("report.html.j2").render(
        manifest=manifest,
        provider=contents.provider,
        headline=headline(metrics),
        cards=[
            escape_card(metrics, manifest.limit_origins),
            false_reject_card(metrics, manifest.limit_origins),
        ],
        metrics=metrics,
        groups=groups_remark(metrics),
        limits=limit_rows(manifest),
        confusion=confusion_table(metrics, manifest),
        calibration=calibration_remark(summarise(contents.records.get("calibration", ()))),
        costs=cost_rows(metrics),
        sizes=size_rows(metrics),
        reliability=reliability_figure(metrics.reliability),
        figures=[roc_figure(test, metrics), *score_figures(test, manifest)],
        galleries=contents.galleries,
        invalid=[record for record in test if record.invalid],
        dataset=dataset,
        skipped=dataset.skipped[:_SKIPPED_SHOWN],
        split_labels=labels,
        split_rows=rows,
        grouped=any(row.groups < row.total for row in rows),
        settings=settings_tables(manifest),
        curves=contents.curves,
        changes=contents.changes,
        earlier=contents.earlier,
        comparison=contents.comparison,
        painted=contents.painted,
    )
    # A file name may hold bytes that are no UTF-8; a question mark stands for them.
    path.write_text(page, encoding="utf-8", errors="replace")
