"""How far another form of the graph may be from the served one, and how far it is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from models.answer import Inspection
from models.decision import Limits, combined_score, from_limit, straight
from models.inspector import Inspector
from models.manifest import Agreement
from models.scores import GraphScores
from training.recorded import graph_scores
from training.summary import Record

# Doubtful photos show a turned verdict first; the others stand for the rest.
NEAR_THE_LIMIT = 8
SPREAD = 8


@dataclass(frozen=True)
class Compared:
    """How far another graph is from the served one, and what it gave for each photo."""

    agreement: Agreement
    scores: tuple[GraphScores, ...]


def chosen_records(records: Sequence[Record]) -> list[Record]:
    """At most 16 inspected photos: those whose scores are nearest to the limit, and others evenly spread."""
    scored = sorted((r for r in records if r.inspection.score is not None), key=_from_limit)
    near, rest = scored[:NEAR_THE_LIMIT], scored[NEAR_THE_LIMIT:]
    step = max(1, len(rest) // SPREAD)
    return [*near, *rest[::step][:SPREAD]]


def compare(other: Inspector, records: Sequence[Record]) -> Compared:
    """Inspect photos again with another form of their bundle's graph.

    Args:
        other: holds the other form.
        records: what the served graph said of them, none of it `invalid`.
    """
    difference, flips, scores = 0.0, 0, []
    for record in records:
        answer, _, _ = other.inspect(record.sample.path.read_bytes())
        scores.append(graph_scores(record.sample.sha256, answer))
        flips += answer.verdict != record.inspection.verdict
        difference = max(difference, _difference(answer, record.inspection, other.manifest.limits))
    return Compared(Agreement(photos=len(records), score=difference, flips=flips), tuple(scores))


def _difference(one: Inspection, another: Inspection, limits: Limits) -> float:
    """Between two scores on the straight scale; 1 where there is none."""
    scores = []
    for answer in (one, another):
        if answer.score is None or answer.anomaly.score is None:
            return 1.0
        scores.append(
            combined_score(answer.anomaly.score, answer.classifier.defect_probability, straight(limits))
        )
    return abs(scores[0] - scores[1])


def _from_limit(record: Record) -> tuple[float, str]:
    answer = record.inspection
    limits = Limits(anomaly=answer.anomaly.limit, classifier=answer.classifier.limit)
    score = math.inf if answer.anomaly.score is None else answer.anomaly.score
    return from_limit(score, answer.classifier.defect_probability, limits), record.sample.name
