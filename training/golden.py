"""Golden photos: a few test photos that travel with the bundle and prove that it runs right where it runs."""

import json
from collections.abc import Sequence
from pathlib import Path

from models.bundle import GOLDEN, GOLDEN_RESULTS, GoldenResult
from models.decision import CLEAN
from training.evaluation import Record

PHOTOS_OF_EACH_KIND = 2


def write_golden(folder: Path, records: Sequence[Record]) -> list[str]:
    """Copy the photos that are judged most plainly, good and defective, and record their results.

    Returns:
        The names of the files written, relative to `folder`.
    """
    (folder / GOLDEN).mkdir()
    results = []
    for index, record in enumerate(_plainest(records)):
        answer = record.inspection
        if answer.score is None or answer.anomaly.score is None:
            continue
        name = f"{GOLDEN}/{index:02d}_{record.sample.label}{record.sample.path.suffix.lower()}"
        (folder / name).write_bytes(record.sample.path.read_bytes())
        results.append(
            GoldenResult(
                file=name,
                label=record.sample.label,
                verdict=answer.verdict,
                score=answer.score,
                probabilities=list(answer.classifier.probabilities.values()),
                anomaly_score=answer.anomaly.score,
            )
        )
    text = json.dumps([result.model_dump() for result in results], indent=2)
    (folder / GOLDEN_RESULTS).write_text(text + "\n", encoding="utf-8")
    return [GOLDEN_RESULTS, *(result.file for result in results)]


def _plainest(records: Sequence[Record]) -> list[Record]:
    """Rightly judged photos far from the limit: rounding on another device cannot turn their verdict."""
    trusted = [record for record in records if record.inspection.score is not None]
    by_score = sorted(trusted, key=lambda record: (record.inspection.score, record.sample.name))
    good = [r for r in by_score if r.sample.label == CLEAN]
    defective = [r for r in reversed(by_score) if r.sample.label != CLEAN]
    return good[:PHOTOS_OF_EACH_KIND] + defective[:PHOTOS_OF_EACH_KIND]
