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
        difference = _difference(self.result.of(answer.precision), answer, outputs)
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


def _difference(golden: GoldenOutcome, answer: Inspection, outputs: "Outputs") -> str:
    """Say what differs from the recorded result; empty when all agree."""
    if answer.verdict != golden.verdict:
        return f"{answer.verdict} instead of {golden.verdict}"
    if answer.score is None or abs(answer.score - golden.score) > GOLDEN_TOLERANCE:
        return f"score {answer.score} instead of {golden.score}"
    # The score follows the stronger opinion; a fault in the weaker one would not show in it.
    found = outputs.probabilities.tolist()
    if len(found) != len(golden.probabilities) or not all(
        math.isclose(a, b, rel_tol=0.0, abs_tol=PROBABILITY_TOLERANCE)
        for a, b in zip(found, golden.probabilities, strict=True)
    ):
        return f"probabilities {found} instead of {golden.probabilities}"
    if not math.isclose(outputs.anomaly_score, golden.anomaly_score, rel_tol=ANOMALY_TOLERANCE):
        return f"anomaly score {outputs.anomaly_score} instead of {golden.anomaly_score}"
    return ""
