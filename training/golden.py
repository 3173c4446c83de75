"""Golden photos: a few test photos that travel with the bundle and prove that it runs right where it runs."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from models.bundle import GOLDEN, GOLDEN_RESULTS, GoldenOutcome, GoldenResult
from models.golden import difference_of, outcome_of
from models.inspector import Inspector
from models.precision import Precision
from models.variants import SCORE_TOLERANCE
from training.evaluation import Record
from training.variants.attempt import attempted

PHOTOS_OF_EACH_KIND = 2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Golden:
    """What was written.

    Attributes:
        files: their names, relative to the bundle's folder.
        differing: other graphs that are not to be served, and why: they give something else than fp32.
    """

    files: list[str]
    differing: dict[Precision, str]


def write_golden(
    folder: Path,
    records: Sequence[Record],
    others: Mapping[Precision, Callable[[], Inspector]] | None = None,
) -> Golden:
    """Copy the photos that are judged most plainly, good and defective, and record their results.

    Args:
        folder: of the bundle.
        records: photos and what the fp32 graph says of them.
        others: what opens the bundle's other graphs; their results are recorded beside fp32's, if they agree.
    """
    (folder / GOLDEN).mkdir()
    results, photos = [], []
    for index, record in enumerate(_plainest(records)):
        answer = record.inspection
        if answer.score is None or answer.anomaly.score is None:
            continue
        name = f"{GOLDEN}/{index:02d}_{record.sample.label}{record.sample.path.suffix.lower()}"
        photos.append(record.sample.path.read_bytes())
        (folder / name).write_bytes(photos[-1])
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
    differing: dict[Precision, str] = {}
    for precision, opened in (others or {}).items():
        outcomes = attempted(precision, partial(_outcomes, opened, results, photos))
        if isinstance(outcomes, str):
            differing[precision] = outcomes
            continue
        results = [
            result.model_copy(update={"variants": {**result.variants, precision: outcome}})
            for result, outcome in zip(results, outcomes, strict=True)
        ]
    text = json.dumps([result.model_dump() for result in results], indent=2)
    (folder / GOLDEN_RESULTS).write_text(text + "\n", encoding="utf-8")
    return Golden([GOLDEN_RESULTS, *(result.file for result in results)], differing)


def _outcomes(
    opened: Callable[[], Inspector], results: Sequence[GoldenResult], photos: Sequence[bytes]
) -> list[GoldenOutcome] | str:
    """What another graph gives for the golden photos, or how it differs from fp32."""
    inspector = opened()
    outcomes = []
    for result, data in zip(results, photos, strict=True):
        answer, _, outputs = inspector.inspect(data)
        if answer.score is None:
            difference = f"no verdict ({'; '.join(answer.review_reasons)}) instead of {result.verdict}"
        else:
            outcomes.append(outcome_of(answer, outputs))
            difference = difference_from_single(inspector.variant.precision, result, outcomes[-1])
        if difference:
            log.warning(
                "The %s graph is left out: %s: %s.", inspector.variant.precision, result.file, difference
            )
            return f"{result.file}: {difference}"
    return outcomes


def difference_from_single(precision: Precision, single: GoldenOutcome, found: GoldenOutcome) -> str:
    """Say how another graph differs from fp32 on a golden photo; empty where it may be served."""
    if precision == "fp16":
        # A GPU rounds less often where it fuses layers: what lies between fp32 and fp16 acted out must pass.
        return difference_of(single, found)
    if found.verdict != single.verdict:
        return f"verdict {found.verdict} instead of {single.verdict}"
    allowed = SCORE_TOLERANCE[precision]
    if not abs(found.score - single.score) <= allowed:
        return f"score {found.score:.4f} instead of {single.score:.4f} (allowed: {allowed:g})"
    return ""


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
