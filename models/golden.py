"""Golden photos: whether a bundle still gives what it gave when it was made."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.answer import Inspection
from models.bundle import Bundle, GoldenOutcome, GoldenResult
from models.errors import BundleError

if TYPE_CHECKING:
    from models.inspector import Outputs

# How far an answer may be from the one recorded when the bundle was made (on any provider).
GOLDEN_TOLERANCE = 5e-3
PROBABILITY_TOLERANCE = 1e-2
ANOMALY_TOLERANCE = 2e-2  # relative; a GPU's TF32 keeps about three digits

NO_GOLDEN_PHOTOS = "there are no golden photos, so nothing can be compared"


@dataclass(frozen=True)
class GoldenPhoto:
    """An encoded golden photo, and what it gave when the bundle was made."""

    result: GoldenResult
    data: bytes

    def compare(self, answer: Inspection, outputs: "Outputs") -> str:
        """Say what differs from what the same graph gave then; empty when all agrees."""
        if answer.score is None:
            difference = f"{answer.verdict} instead of {self.result.of(answer.precision).verdict}"
        else:
            difference = difference_of(self.result.of(answer.precision), outcome_of(answer, outputs))
        return f"{self.result.file}: {difference}" if difference else ""


def golden_photos(bundle: Bundle) -> list[GoldenPhoto]:
    """Read a bundle's golden photos with their recorded results.

    Raises:
        BundleError: when they cannot be read.
    """
    results = bundle.golden_results()
    try:
        return [GoldenPhoto(result, bundle.file(result.file).read_bytes()) for result in results]
    except OSError as error:
        raise BundleError(
            f"{error.filename} cannot be read: {error.strerror}.", "Check the bundle with `glint verify`."
        ) from error


def outcome_of(answer: Inspection, outputs: "Outputs") -> GoldenOutcome:
    """What is recorded of an answer that has a score.

    Raises:
        ValueError: when it has none.
    """
    if answer.score is None:
        raise ValueError("an answer without a score is not recorded")
    return GoldenOutcome(
        verdict=answer.verdict,
        score=answer.score,
        probabilities=outputs.probabilities.tolist(),
        anomaly_score=outputs.anomaly_score,
    )


def difference_of(recorded: GoldenOutcome, found: GoldenOutcome) -> str:
    """Say how `found` differs from what was recorded; empty when all agree."""
    if found.verdict != recorded.verdict:
        return f"{found.verdict} instead of {recorded.verdict}"
    # So written that a score that is no number differs.
    if not abs(found.score - recorded.score) <= GOLDEN_TOLERANCE:
        return f"score {found.score} instead of {recorded.score}"
    # A fault in the weaker opinion would hardly show in the score.
    if len(found.probabilities) != len(recorded.probabilities) or not all(
        math.isclose(a, b, rel_tol=0.0, abs_tol=PROBABILITY_TOLERANCE)
        for a, b in zip(found.probabilities, recorded.probabilities, strict=True)
    ):
        return f"probabilities {found.probabilities} instead of {recorded.probabilities}"
    if not math.isclose(found.anomaly_score, recorded.anomaly_score, rel_tol=ANOMALY_TOLERANCE):
        return f"anomaly score {found.anomaly_score} instead of {recorded.anomaly_score}"
    return ""
