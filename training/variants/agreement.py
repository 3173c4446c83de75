"""How far another form of the graph may be from the served one, and how far it is."""

from collections.abc import Sequence

from models.inspector import Inspector
from models.manifest import Agreement
from training.summary import Record

# Doubtful photos show a turned verdict first; the others stand for the rest.
NEAR_THE_LIMIT = 8
SPREAD = 8


def chosen_records(records: Sequence[Record]) -> list[Record]:
    """At most 16 inspected photos: those whose scores are nearest to the limit, and others evenly spread."""
    scored = sorted((r for r in records if r.inspection.score is not None), key=_doubt)
    near, rest = scored[:NEAR_THE_LIMIT], scored[NEAR_THE_LIMIT:]
    step = max(1, len(rest) // SPREAD)
    return [*near, *rest[::step][:SPREAD]]


def agreement_of(other: Inspector, records: Sequence[Record]) -> Agreement:
    """Inspect photos again with another form of their bundle's graph.

    Args:
        other: holds the other form.
        records: what the served graph said of them, none of it `invalid`.
    """
    difference, flips = 0.0, 0
    for record in records:
        answer, _, _ = other.inspect(record.sample.path.read_bytes())
        flips += answer.verdict != record.inspection.verdict
        if answer.score is None or record.inspection.score is None:
            difference = 1.0
        else:
            difference = max(difference, abs(answer.score - record.inspection.score))
    return Agreement(photos=len(records), score=difference, flips=flips)


def _doubt(record: Record) -> tuple[float, str]:
    score = record.inspection.score
    return abs((1.0 if score is None else score) - 0.5), record.sample.name
