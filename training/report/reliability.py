"""The reliability diagram: how often photos are defective that are given a probability of it."""

from collections.abc import Sequence

from markupsafe import Markup

from models.svg import Axis, Frame, legend, line
from training.report.figures import SHARES, Figure
from training.sign_off import ReliabilityBin


def reliability_figure(bins: Sequence[ReliabilityBin]) -> Figure:
    """Observed against predicted shares of defects, with exact 95 % intervals."""
    if not bins:
        return Figure(
            "There is no reliability diagram: it needs a classifier, and good and defective test photos."
        )
    frame = Frame(
        Axis(0.0, 1.0, SHARES, "defect probability that the classifier gives"),
        Axis(0.0, 1.0, SHARES, "share that is defective"),
        height=340.0,
    )
    marks = [line(frame, [0.0, 1.0], [0.0, 1.0], "chance")]
    largest = max(each.n for each in bins)
    for each in bins:
        low, high = each.observed.low, each.observed.high
        marks.append(line(frame, [each.predicted, each.predicted], [low, high], "series-2 whisker"))
    for each in bins:
        marks.append(_spot(frame, each, largest))
    known = [("series-2 whisker", "95 % interval"), ("chance", "as promised")]
    marks.append(legend(frame, known, x=frame.px(0.05), y=frame.py(0.9)))
    total = sum(each.n for each in bins)
    off = sum(each.n * abs(each.predicted - each.observed.rate) for each in bins) / total
    caption = (
        f"The classifier's probability on {total} test photos, converted to the share of defects among them. "
        f"The larger a dot, the more photos. On average it is off by {100.0 * off:.1f} points."
    )
    return Figure(caption, frame.draw(marks, "Reliability diagram of the classifier"))


def _spot(frame: Frame, each: ReliabilityBin, largest: int) -> Markup:
    radius = 4.0 + 6.0 * (each.n / largest) ** 0.5
    element = Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>')
    return element.format(frame.px(each.predicted), frame.py(each.observed.rate), radius)
