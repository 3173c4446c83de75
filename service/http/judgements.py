"""The routes to what people said of an inspection: `/inspections/{id}/judgements`."""

import base64
import binascii
import re
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path, Request
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from models.manifest import NAME_PATTERN
from service.archive.errors import ArchiveOffError, UnknownInspectionError
from service.errors import RequestError
from service.http.archive import InspectionId
from service.http.documentation import problem_responses
from service.http.fields import MAX_LENGTH, TEXT_PATTERN
from service.review.judgements import LARGEST_MASK, Decision, Judgement, Opinion

if TYPE_CHECKING:
    from service.review.desk import Desk

_ID = "^[0-9a-f]{32}$"
_LONGEST_NOTE = 1000
_LONGEST_MASK = LARGEST_MASK * 4 // 3 + 4

router = APIRouter(tags=["review"])

_PROBLEMS = problem_responses(
    {
        404: "There is none; `code` says why.",
        422: "A field cannot be used.",
        503: "The archive cannot be asked now.",
    }
)
_JUDGING_PROBLEMS = {
    **_PROBLEMS,
    **problem_responses(
        {
            408: "The body did not arrive in time.",
            409: "Another judgement came first (`detail` says whose), or nothing is there to judge or undo.",
            413: "The body is too large.",
            503: "The archive cannot be asked now, or too many masks come at a time.",
        }
    ),
}


# As other texts, but a note may have several lines, and a name begins with something to be seen.
_NOTE_PATTERN = TEXT_PATTERN.replace(r"\u0000-\u001f", r"\u0000-\u0009\u000b-\u001f")
_NAME_PATTERN = rf"^(?! ){TEXT_PATTERN[1:-2]}+$"


def _matches(pattern: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError("it has characters that cannot be shown, or is empty")
        return value

    return AfterValidator(check)


_Note = Annotated[
    str,
    _matches(_NOTE_PATTERN),
    Field(max_length=_LONGEST_NOTE, json_schema_extra={"pattern": _NOTE_PATTERN}),
]
_OperatorName = Annotated[
    str,
    _matches(_NAME_PATTERN),
    Field(min_length=1, max_length=MAX_LENGTH, json_schema_extra={"pattern": _NAME_PATTERN}),
]


class JudgementOrder(BaseModel):
    """What an operator says of an inspection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Decision = Field(
        description="`accept` or `overrule` the service's verdict, `cannot_tell`, or `undo` what stands."
    )
    operator: _OperatorName = Field(description="Who says so; the key's id is recorded beside it.")
    label: str | None = Field(
        default=None,
        max_length=64,
        # Said in the document alone: what cannot be a class is refused in plain words.
        json_schema_extra={"pattern": NAME_PATTERN},
        description="The defect class, for a defect. Without it: the verdict, or `anomalous` for a defect "
        "that the service did not see.",
    )
    note: _Note = ""
    mask: str | None = Field(
        default=None,
        max_length=_LONGEST_MASK,
        description="Base64 of a PNG of the upright photo's size that marks the defect: opaque, or white.",
    )
    supersedes: str | None = Field(
        default=None,
        pattern=_ID,
        description="Id of the latest judgement that the operator has seen; null if there was none.",
    )

    def opinion(self, key_id: str | None) -> Opinion:
        """What is to be recorded.

        Raises:
            RequestError: `bad_mask`, when the mask is no base64.
        """
        try:
            mask = None if self.mask is None else base64.b64decode(self.mask, validate=True)
        except (binascii.Error, ValueError) as error:
            raise RequestError("bad_mask", "The mask is no base64.", "Encode the PNG's bytes.") from error
        return Opinion(
            decision=self.decision,
            operator=self.operator.strip(),
            label=self.label or None,
            note=self.note.strip(),
            key_id=key_id,
            mask=mask,
            supersedes=self.supersedes,
        )


class JudgementAnswer(BaseModel):
    """A judgement as it was recorded; it never changes."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    inspection_id: str
    number: int = Field(description="1 for the first of this inspection.")
    supersedes: str | None
    decision: Decision
    label: str | None = Field(
        description="`clean`, a defect class, `anomalous` for a defect that nobody named; null if not said."
    )
    note: str
    operator: str
    key_id: str | None = Field(description="Id of the key by which it came; null without keys.")
    time: AwareDatetime = Field(description="When it was recorded, UTC.")
    stands: str | None = Field(description="Id of the judgement that stands since; null where none does.")
    mask_url: str | None = Field(description="Path of the mask; null without one.")

    @classmethod
    def of(cls, judgement: Judgement) -> "JudgementAnswer":
        """The answer for a judgement."""
        path = f"/inspections/{judgement.inspection_id}/judgements/{judgement.id}/mask"
        values = {name: getattr(judgement, name) for name in Judgement.__dataclass_fields__}
        return cls.model_validate({**values, "mask_url": path if judgement.mask else None})


class History(BaseModel):
    """Everything that was said of an inspection, the first thing first."""

    model_config = ConfigDict(frozen=True)

    judgements: list[JudgementAnswer]
    standing: str | None = Field(description="Id of the judgement that stands; null where none does.")


@router.get(
    "/inspections/{inspection_id}/judgements",
    summary="What people said of an inspection",
    responses=_PROBLEMS,
)
def judgements(request: Request, inspection_id: InspectionId) -> History:
    past = desk_of(request).history(known(inspection_id))
    return History(
        judgements=[JudgementAnswer.of(judgement) for judgement in past],
        standing=past[-1].stands if past else None,
    )


@router.post(
    "/inspections/{inspection_id}/judgements",
    status_code=201,
    summary="Judge an inspection",
    responses=_JUDGING_PROBLEMS,
)
def judge(request: Request, inspection_id: InspectionId, order: JudgementOrder) -> JudgementAnswer:
    opinion = order.opinion(request.scope["state"].get("key_id"))
    return JudgementAnswer.of(desk_of(request).judge(known(inspection_id), opinion))


@router.get(
    "/inspections/{inspection_id}/judgements/{judgement_id}/mask",
    summary="The mask of a judgement",
    response_class=Response,
    responses={
        200: {
            "description": "One channel of 0 and 255, at the upright photo's size.",
            "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
        },
        **_PROBLEMS,
    },
)
def mask(
    request: Request,
    inspection_id: InspectionId,
    judgement_id: Annotated[str, Path(json_schema_extra={"pattern": _ID})],
) -> Response:
    return Response(desk_of(request).mask(known(inspection_id), judgement_id), media_type="image/png")


def desk_of(request: Request) -> "Desk":
    """The desk of the application.

    Raises:
        ArchiveOffError: when there is no archive, and so nothing to judge.
    """
    desk: Desk | None = request.app.state.desk
    if desk is None:
        raise ArchiveOffError
    return desk


def known(inspection_id: str) -> str:
    """The id, if it can be one: whatever else was typed need not reach the database.

    Raises:
        UnknownInspectionError: when it cannot.
    """
    if not re.fullmatch(_ID, inspection_id):
        raise UnknownInspectionError(inspection_id)
    return inspection_id
