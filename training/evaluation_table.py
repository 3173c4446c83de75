"""An evaluation as tables on the console."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.manifest import RateInterval
from training.evaluation import Evaluation
from training.sign_off import Estimate
from training.summary import Metrics, groups_remark


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
    if remark := groups_remark(metrics):
        lines.append(remark)
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
