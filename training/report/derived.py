"""The report of a version that has other limits: made of recorded scores, without a photo at hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.bundle import SplitRecord
from models.manifest import Manifest
from models.precision import Precision
from training.data.samples import Dataset, Sample
from training.report.figures import Figure
from training.report.page import Contents, write_page
from training.report.tables import percent
from training.summary import Metrics, Record


@dataclass(frozen=True)
class Derivation:
    """Where a version with other limits comes from.

    Attributes:
        old: the manifest of the version that it was made from.
        before: the figures of the test photos with that version's limits.
        report: the name of that version's report, in the new bundle.
        dropped: graphs that it had and the new one has not, and why.
    """

    old: Manifest
    before: Metrics
    report: str
    dropped: Mapping[Precision, str]


def write_derived_report(
    path: Path,
    *,
    manifest: Manifest,
    derivation: Derivation,
    records: Mapping[str, Sequence[Record]],
    metrics: Metrics,
    splits: Sequence[SplitRecord],
) -> None:
    """Write the report of a version with other limits.

    Args:
        path: the file to write.
        manifest: of the new version.
        derivation: where it comes from.
        records: the splits `calibration` and `test`, judged by the new limits.
        metrics: the figures of the test records.
        splits: which photo went where.
    """
    samples = {name: [_sample(each) for each in splits if each.split == name] for name in _SPLITS}
    everything = tuple(sample for part in samples.values() for sample in part)
    elsewhere = f"are in the report of version {derivation.old.version}"
    write_page(
        path,
        Contents(
            manifest=manifest,
            provider="recorded scores",
            records=records,
            metrics=metrics,
            dataset=Dataset(Path(), manifest.dataset.layout, everything),
            splits=samples,
            galleries=(),
            curves=(Figure(f"The training curves {elsewhere}."),),
            changes=_changes(derivation, manifest, metrics),
            earlier=derivation.report,
        ),
    )


_SPLITS = ("train", "calibration", "test")


def _sample(record: SplitRecord) -> Sample:
    return Sample(
        Path(record.file), record.file, record.label, record.sha256, height=0, width=0, group=record.group
    )


def _changes(derivation: Derivation, manifest: Manifest, after: Metrics) -> list[tuple[str, str, str]]:
    """Rows of what is told: with the earlier limits, with these."""
    old, before = derivation.old, derivation.before
    rows = [
        ("Version", old.version, manifest.version),
        ("Anomaly limit", f"{old.limits.anomaly:.4g}", f"{manifest.limits.anomaly:.4g}"),
    ]
    if manifest.limits.classifier is not None:
        limits = (old.limits.classifier, manifest.limits.classifier)
        earlier, now = ("never fires" if x is None else f"{x:.4g}" for x in limits)
        rows.append(("Classifier limit", earlier, now))
    rows += [
        ("False rejects on test photos", _rejects(before), _rejects(after)),
        ("Escapes on test photos", _escapes(before), _escapes(after)),
        ("Test photos for a person to review", str(before.n_review), str(after.n_review)),
    ]
    rows += [(f"{name} graph", "served", f"left out: {why}") for name, why in derivation.dropped.items()]
    return rows


def _rejects(metrics: Metrics) -> str:
    if metrics.false_reject_rate is None:
        return "no good photo"
    count = round(metrics.false_reject_rate * metrics.n_good)
    return f"{count} of {metrics.n_good} ({percent(metrics.false_reject_rate)})"


def _escapes(metrics: Metrics) -> str:
    if metrics.escape_rate is None:
        return "no defective photo"
    count = round(metrics.escape_rate * metrics.n_defective)
    return f"{count} of {metrics.n_defective} ({percent(metrics.escape_rate)})"
