"""The report's view of what limits cost on a line, and of defects by size."""

from dataclasses import dataclass

from training.report.tables import NOT_BREAKING, percent
from training.sign_off import Estimate, SizeFigures
from training.summary import Metrics


@dataclass(frozen=True)
class Costs:
    """Rows of what, how many parts, and the interval; and what a reject is worth, in a sentence."""

    rows: tuple[tuple[str, str, str], ...]
    sentence: str


def cost_rows(metrics: Metrics) -> Costs:
    """What the limits cost at the stated share of defective parts."""
    cost = metrics.cost
    rows = []
    for name, estimate, missing in (
        ("Good parts rejected (false rejects)", cost.false_rejects, "no good test photo"),
        ("Defective parts passed (escapes)", cost.escapes, "no defective test photo"),
    ):
        rows.append((name, "?", missing) if estimate is None else (name, *_parts(estimate)))
    value = cost.positive_predictive_value
    if value is None:
        return Costs(tuple(rows), "")
    return Costs(
        tuple(rows),
        f"Of 100 rejected parts {100.0 * value.value:.0f} would be defective (positive predictive value "
        f"{percent(value.value)}; {percent(value.low)} to {percent(value.high)} from the worse to the better "
        "ends of both intervals).",
    )


def size_rows(metrics: Metrics) -> list[tuple[str, SizeFigures]]:
    """Escapes by the share of the photo that a defect takes."""
    rows = []
    for each in metrics.per_size:
        if each.above == 0.0:
            name = f"up to {_share(each.up_to)}"
        elif each.up_to == 1.0:
            name = f"more than {_share(each.above)}"
        else:
            name = f"{_share(each.above)} to {_share(each.up_to)}"
        rows.append((name, each))
    return rows


def _parts(estimate: Estimate) -> tuple[str, str]:
    digits = 0 if estimate.value >= 10.0 else 1
    return f"{estimate.value:.{digits}f}", f"{estimate.low:.{digits}f} to {estimate.high:.{digits}f}"


def _share(share: float) -> str:
    return f"{100.0 * share:g}{NOT_BREAKING}%"
