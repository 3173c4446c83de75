"""Golden photos: a few test photos that travel with the bundle and prove that it runs right where it runs."""

import json
from collections.abc import Sequence
from pathlib import Path

from models.bundle import GOLDEN, GOLDEN_RESULTS, GoldenOutcome, GoldenResult
from models.errors import ExportError
from models.inspector import Inspector
from training.evaluation import Record

PHOTOS_OF_EACH_KIND = 2


def write_golden(folder: Path, records: Sequence[Record], others: Sequence[Inspector] = ()) -> list[str]:
    """Copy the photos that are judged most plainly, good and defective, and record their results.

    Args:
        folder: of the bundle.
        records: photos and what the fp32 graph says of them.
        others: other graphs of the bundle, whose results are recorded beside fp32's.

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
        data = record.sample.path.read_bytes()
        (folder / name).write_bytes(data)
        results.append(
            GoldenResult(
                file=name,
                label=record.sample.label,
                verdict=answer.verdict,
                score=answer.score,
                probabilities=list(answer.classifier.probabilities.values()),
                anomaly_score=answer.anomaly.score,
                variants={other.variant.precision: _outcome(other, data) for other in others},
            )
        )
    text = json.dumps([result.model_dump() for result in results], indent=2)
    (folder / GOLDEN_RESULTS).write_text(text + "\n", encoding="utf-8")
    return [GOLDEN_RESULTS, *(result.file for result in results)]


def _outcome(inspector: Inspector, data: bytes) -> GoldenOutcome:
    answer, _, outputs = inspector.inspect(data)
    if answer.score is None:
        raise ExportError(
            f"The {inspector.variant.precision} graph gives a golden photo no verdict, and fp32 does: "
            f"{'; '.join(answer.review_reasons)}.",
            "No bundle was written. Train with --no-int8, and report this.",
        )
    return GoldenOutcome(
        verdict=answer.verdict,
        score=answer.score,
        probabilities=[float(p) for p in outputs.probabilities],
        anomaly_score=outputs.anomaly_score,
    )


def _plainest(records: Sequence[Record]) -> list[Record]:
    """Photos far from the limit, since rounding on another device cannot turn their verdict.

    Those that were rightly judged come first; where there are too few, others fill up.
    """

    def rank(record: Record) -> tuple[bool, float, str]:
        score = record.inspection.score
        distance = 0.0 if score is None else abs(score - 0.5)
        return record.escape or record.false_reject, -distance, record.sample.name

    trusted = sorted((record for record in records if not record.invalid), key=rank)
    good = [record for record in trusted if not record.defective]
    defective = [record for record in trusted if record.defective]
    return good[:PHOTOS_OF_EACH_KIND] + defective[:PHOTOS_OF_EACH_KIND]
