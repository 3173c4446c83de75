"""The report's plots: ROC curves, score histograms with the limits, training curves."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from models.answer import Inspection
from models.histogram import Mark, histogram
from models.manifest import Manifest
from models.svg import Axis, Frame, dot, legend, line, round_ticks
from training.metrics import roc_curve
from training.summary import Metrics, Record

SHARES = ((0.0, "0"), (0.2, "0.2"), (0.4, "0.4"), (0.6, "0.6"), (0.8, "0.8"), (1.0, "1"))

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A plot with its caption; without data there is no plot, and the caption says why."""

    caption: str
    svg: Markup | None = None


@dataclass(frozen=True)
class Opinion:
    """One of the three scores: how it is called, how it is read from an answer, how its line is drawn."""

    name: str
    axis: str
    style: str
    score: Callable[[Inspection], float | None]


OPINIONS = (
    Opinion("combined", "combined score", "series-1", lambda answer: answer.score),
    Opinion(
        "classifier", "defect probability", "series-2", lambda answer: answer.classifier.defect_probability
    ),
    Opinion("anomaly", "anomaly score", "series-3", lambda answer: answer.anomaly.score),
)


def roc_figure(records: Sequence[Record], metrics: Metrics) -> Figure:
    """ROC curves of the three opinions, and where the limits put the inspector."""
    if not metrics.n_good or not metrics.n_defective:
        missing = "good" if not metrics.n_good else "defective"
        return Figure(f"A ROC curve needs both kinds of photos; there are no {missing} test photos.")
    frame = Frame(
        Axis(0.0, 1.0, SHARES, "share of good parts rejected"),
        Axis(0.0, 1.0, SHARES, "share of defects caught"),
        height=340.0,
    )
    marks = [line(frame, [0.0, 1.0], [0.0, 1.0], "chance")]
    entries: list[tuple[str, str]] = []
    areas = metrics.image_auroc.model_dump()
    for opinion in OPINIONS:
        scores, defective = _scores(records, opinion)
        area = areas[opinion.name]
        if area is None:
            continue
        rejected_good, caught = roc_curve(scores, defective)
        marks.append(line(frame, list(rejected_good), list(caught), opinion.style))
        entries.append((opinion.style, f"{opinion.name}: AUROC {area:.3f}"))
    marks.append(legend(frame, entries, x=frame.px(0.44), y=frame.py(0.06) - 19.0 * len(entries)))
    rejected = metrics.false_reject_rate or 0.0
    found = sum(figures.caught for figures in metrics.per_class.values()) / metrics.n_defective
    marks.append(dot(frame, rejected, found, "at the limits"))
    caption = "The better an opinion, the closer its curve comes to the upper left corner."
    if areas["classifier"] is None:
        caption += " The bundle has no classifier, so only the anomaly score speaks."
    return Figure(caption, frame.draw(marks, "ROC curves of the test photos"))


def score_figures(records: Sequence[Record], manifest: Manifest) -> list[Figure]:
    """A histogram for each opinion: good photos upwards, defective ones downwards, the limit drawn."""
    limits = {"combined": 0.5, "classifier": manifest.limits.classifier, "anomaly": manifest.limits.anomaly}
    figures = []
    for opinion in OPINIONS:
        scores, defective = _scores(records, opinion)
        limit = limits[opinion.name]
        if limit is None:
            figures.append(Figure("There is no histogram of the classifier: the bundle has no defect class."))
        elif not len(scores):
            figures.append(Figure(f"There is no histogram of the {opinion.axis}: no test photo has one."))
        else:
            figures.append(_histogram(opinion, scores, defective, limit))
    return figures


def history_figures(history: Sequence[Mapping[str, float]]) -> list[Figure]:
    """Training curves over the epochs: the two losses, and the accuracy on calibration photos."""
    if not history:
        return [Figure("There are no training curves: no classifier was fine-tuned.")]
    if len(history) == 1:
        loss, accuracy = history[0]["calibration_loss"], history[0]["calibration_accuracy"]
        return [
            Figure(
                "There are no training curves: the read-out was fitted in one step "
                f"(calibration loss {loss:.3f}, accuracy {accuracy:.1%})."
            )
        ]
    losses = {"train_loss": "training loss", "calibration_loss": "calibration loss"}
    accuracies = {"calibration_accuracy": "calibration accuracy"}
    return [
        _curves(history, losses, "loss", top=None),
        _curves(history, accuracies, "accuracy", top=1.0),
    ]


def _scores(records: Sequence[Record], opinion: Opinion) -> tuple[Scores, npt.NDArray[np.bool_]]:
    values = [(opinion.score(record.inspection), record.defective) for record in records]
    known = [(score, defective) for score, defective in values if score is not None]
    return (
        np.array([score for score, _ in known], dtype=np.float64),
        np.array([defective for _, defective in known], dtype=bool),
    )


def _histogram(opinion: Opinion, scores: Scores, defective: npt.NDArray[np.bool_], limit: float) -> Figure:
    drawn = histogram(
        scores[~defective],
        scores[defective],
        (Mark(limit, f"limit {limit:.3g}"),),
        axis=opinion.axis,
        sides=("good", "defective"),
        high=None if opinion.name == "anomaly" else 1.0,
        description=f"Histogram of the {opinion.axis}, good against defective",
    )
    caption = f"{opinion.axis.capitalize()} of {len(scores)} test photos."
    if float(scores.max()) > drawn.high:
        caption += f" Scores beyond {drawn.high:.3g} (up to {scores.max():.3g}) are in the last bar."
    return Figure(caption, drawn.svg)


def _curves(
    history: Sequence[Mapping[str, float]], names: Mapping[str, str], title: str, top: float | None
) -> Figure:
    series = {}
    for key, label in names.items():
        points = [(row["epoch"], row[key]) for row in history if math.isfinite(row.get(key, math.nan))]
        if points:
            series[label] = points
    if not series:
        return Figure(f"There is no curve of the {title}: it was not recorded.")
    epochs = [row["epoch"] for row in history]
    first, last = min(epochs), max(max(epochs), min(epochs) + 1)
    stride = max(1, math.ceil((last - first) / 8))
    ticks = tuple((float(e), str(e)) for e in range(int(first), int(last) + 1, stride))
    high = top or 1.08 * max(max(value for _, value in points) for points in series.values()) or 1.0
    frame = Frame(
        Axis(first, last, ticks, "epoch"), Axis(0.0, high, round_ticks(0.0, high), title), height=250.0
    )
    marks, entries = [], []
    for label, points in series.items():
        style = "series-2" if label.startswith("training") else "series-1"
        marks.append(line(frame, [x for x, _ in points], [y for _, y in points], style))
        marks += [dot(frame, x, y, "") for x, y in points if len(points) == 1]
        entries.append((style, label))
    at_top = title != "accuracy"
    place = frame.py(high) + 12.0 if at_top else frame.py(0.0) - 16.0
    marks.append(legend(frame, entries, x=frame.px(last) - 175.0, y=place))
    return Figure(f"{title.capitalize()} by epoch.", frame.draw(marks, f"{title} by epoch"))
