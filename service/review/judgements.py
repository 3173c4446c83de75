"""A judgement: what an operator says of an inspection."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from models.classes import class_problem
from models.decision import ANOMALOUS, CLEAN, INVALID
from service.errors import RequestError

Decision = Literal["accept", "overrule", "cannot_tell", "undo"]
# Of a mask as it is sent; one drawn by hand compresses to a few kilobytes.
LARGEST_MASK = 2 * 1024 * 1024


@dataclass(frozen=True)
class Opinion:
    """What is to be recorded.

    Attributes:
        label: what the part is, where `decision` leaves that open: a defect class, or `clean`.
        operator: who says so.
        key_id: of the key by which the request came; None without keys.
        mask: a PNG of the photo's size that marks the defect.
        supersedes: id of the latest judgement that the operator has seen; None if there was none.
    """

    decision: Decision
    operator: str
    label: str | None = None
    note: str = ""
    key_id: str | None = None
    mask: bytes | None = None
    supersedes: str | None = None


@dataclass(frozen=True)
class Judgement:
    """A row of the table `judgements`, never changed or removed; the fields are its columns.

    Attributes:
        number: 1 for the first of its inspection, then 2 and so on.
        label: `clean`, a defect class, or `anomalous` for a defect that nobody named; None if not said.
        time: when it was recorded, UTC.
        mask: path in the photo store of a PNG, one channel of 0 and 255, at the upright photo's size.
        stands: id of the judgement that stands since: this one, or after an undo the one that stood before
            what was undone; None where none did.
    """

    id: str
    inspection_id: str
    number: int
    supersedes: str | None
    decision: Decision
    label: str | None
    note: str
    operator: str
    key_id: str | None
    time: datetime
    mask: str | None
    stands: str | None

    @property
    def words(self) -> str:
        """What was said, in a few words."""
        said = self.decision.replace("_", " ")
        return f"{said}, {self.label}" if self.label else said


def label_of(verdict: str, opinion: Opinion) -> str | None:
    """What the part is by this opinion: `clean`, a class, `anomalous`; None if the opinion leaves it open.

    Raises:
        RequestError: `bad_field`, when decision, label and mask do not go together.
    """
    label = _label_of(verdict, opinion)
    if opinion.mask is not None and label in (None, CLEAN):
        raise RequestError(
            "bad_field",
            "There is a mask, but no defect that it could mark.",
            "Send a mask with a defect only.",
        )
    return label


def _label_of(verdict: str, opinion: Opinion) -> str | None:
    given = opinion.label
    if opinion.decision in ("cannot_tell", "undo"):
        if given is not None:
            raise _contradiction(opinion.decision, given)
        return None
    if (opinion.decision == "accept") == (verdict == CLEAN):
        if given not in (None, CLEAN):
            raise _contradiction(f"{opinion.decision} of the verdict {verdict}", given)
        return CLEAN
    if given is None:
        return verdict if opinion.decision == "accept" else ANOMALOUS
    if given in (verdict, ANOMALOUS):
        return given
    if problem := class_problem(given):
        raise RequestError(
            "bad_field", f"The label cannot be the name of a defect class: {problem}.", "Choose another name."
        )
    return given


def _contradiction(said: str, label: str | None) -> RequestError:
    return RequestError(
        "bad_field", f"The label {label!r} contradicts {said}.", "Leave the label out, or decide otherwise."
    )


def can_be_judged(verdict: str) -> bool:
    """Whether there is a verdict that one could accept or overrule."""
    return verdict != INVALID


def standing(past: Sequence[Judgement]) -> Judgement | None:
    """The judgement that stands after all of these."""
    if not past:
        return None
    return next((item for item in past if item.id == past[-1].stands), None)


def before(past: Sequence[Judgement], judgement: Judgement) -> Judgement | None:
    """The judgement that stood before this one took its place."""
    earlier = next((item for item in past if item.id == judgement.supersedes), None)
    if earlier is None:
        return None
    return next((item for item in past if item.id == earlier.stands), None)
