"""The two opinions of an inspection as the page draws them: bars with their limits."""

from dataclasses import dataclass

from models.answer import Inspection
from models.decision import CLEAN

# The anomaly score has no upper end; the bar ends here, or at the score if that is larger.
_BAR_LIMITS = 2.0


@dataclass(frozen=True)
class Bar:
    """A value and its limit on a bar from 0 to `end`; the percentages are places on it, 0..100."""

    value: float | None
    limit: float | None
    end: float
    fired: bool

    @property
    def value_percent(self) -> float:
        """How far the bar is filled."""
        return 100.0 * min(self.value or 0.0, self.end) / self.end

    @property
    def limit_percent(self) -> float:
        """Where the limit is."""
        return 100.0 * min(self.limit or 0.0, self.end) / self.end


@dataclass(frozen=True)
class Opinions:
    """Both opinions; `classes` are the defect classes with their probabilities, the likeliest first."""

    classifier: Bar
    anomaly: Bar
    classes: list[tuple[str, float]]


def opinions_of(inspection: Inspection) -> Opinions:
    """What both models said."""
    classifier, anomaly = inspection.classifier, inspection.anomaly
    classes = [(name, p) for name, p in classifier.probabilities.items() if name != CLEAN]
    return Opinions(
        classifier=Bar(
            classifier.defect_probability, classifier.limit, 1.0, fired="classifier" in inspection.rules
        ),
        anomaly=Bar(
            anomaly.score,
            anomaly.limit,
            max(_BAR_LIMITS * anomaly.limit, anomaly.score or 0.0),
            fired="anomaly" in inspection.rules,
        ),
        classes=sorted(classes, key=lambda item: -item[1]),
    )
