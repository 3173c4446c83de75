"""The route to what judgements say of the service: `GET /reviews/numbers`, as JSON or CSV."""

import csv
import io
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from models.intervals import CONFIDENCE, Share
from service.http.archive import CameraName, Moment, PartName, VersionName
from service.http.documentation import problem_responses
from service.http.judgements import desk_of
from service.review.figures import Numbers, Period

router = APIRouter(tags=["review"])

_PROBLEMS = problem_responses(
    {404: "There is no archive.", 422: "A filter cannot be used.", 503: "The archive cannot be asked now."}
)


class Span(BaseModel):
    """Which inspections count."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    part: PartName | None = None
    since: Moment | None = Field(default=None, alias="from", description="Inspected at or after this time.")
    until: Moment | None = Field(default=None, alias="to", description="Inspected before this time.")
    camera: CameraName | None = Field(default=None, description="Empty: inspections that named no camera.")
    version: VersionName | None = Field(default=None, description="Of the bundle.")

    def period(self) -> Period:
        """The same for the desk."""
        return Period(self.part, self.since, self.until, self.camera, self.version)


class ShareAnswer(BaseModel):
    """`count` of `total` with the exact (Clopper-Pearson) interval of the rate; null where nothing counts."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    count: int
    total: int
    rate: float | None = Field(description="0..1")
    low: float | None
    high: float | None


class Expected(BaseModel):
    """A number of parts that follows from a share, with its interval."""

    model_config = ConfigDict(frozen=True)

    count: float
    low: float
    high: float


class ClassCount(BaseModel):
    """How many judged parts had this defect."""

    model_config = ConfigDict(frozen=True)

    label: str
    count: int


class ReviewNumbers(BaseModel):
    """What operators' judgements say of the service; what they could not tell is left out of the shares."""

    model_config = ConfigDict(frozen=True)

    confidence: float = Field(description="Of the intervals, two-sided.")
    escapes: ShareAnswer = Field(description="Defects in the judged sample of what passed as clean.")
    passed: int = Field(
        description="Parts that passed as clean, review not asked for; of parts that are sampled."
    )
    sample_waiting: int = Field(description="Of the sample, how many nobody has judged yet.")
    sample_gone: int = Field(description="Of the sample, how many lost their photo before a judgement.")
    escapes_expected: Expected | None = Field(description="Defects among `passed`, by that share.")
    doubtful_defects: ShareAnswer = Field(description="Defects among doubtful parts given as clean.")
    false_rejects: ShareAnswer = Field(description="Good parts among judged defects.")
    disagreement: ShareAnswer = Field(description="Verdicts that were overruled.")
    cannot_tell: int
    defects: list[ClassCount] = Field(description="Judged defects by class, the commonest first.")

    @classmethod
    def of(cls, found: Numbers) -> "ReviewNumbers":
        """The answer for what was counted."""
        expected = found.escapes_expected
        return cls(
            confidence=CONFIDENCE,
            escapes=ShareAnswer.model_validate(found.escapes),
            passed=found.passed,
            sample_waiting=found.sample_waiting,
            sample_gone=found.sample_gone,
            escapes_expected=Expected(count=expected[0], low=expected[1], high=expected[2])
            if expected
            else None,
            doubtful_defects=ShareAnswer.model_validate(found.doubtful_defects),
            false_rejects=ShareAnswer.model_validate(found.false_rejects),
            disagreement=ShareAnswer.model_validate(found.disagreement),
            cannot_tell=found.cannot_tell,
            defects=[ClassCount(label=label, count=count) for label, count in found.defects],
        )


@router.get("/reviews/numbers", summary="What judgements say of the service", responses=_PROBLEMS)
def review_numbers(request: Request, wanted: Annotated[Span, Query()]) -> ReviewNumbers:
    return ReviewNumbers.of(desk_of(request).numbers(wanted.period()))


@router.get(
    "/reviews/numbers.csv",
    summary="The same as a table",
    response_class=Response,
    responses={
        200: {"description": "A table.", "content": {"text/csv": {"schema": {"type": "string"}}}},
        **_PROBLEMS,
    },
)
def review_numbers_csv(request: Request, wanted: Annotated[Span, Query()]) -> Response:
    found = desk_of(request).numbers(wanted.period())
    return Response(
        _table(found),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="glint-reviews.csv"'},
    )


def _table(found: Numbers) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("number", "count", "total", "rate", "low", "high"))
    for name in ("escapes", "doubtful_defects", "false_rejects", "disagreement"):
        one: Share = getattr(found, name)
        writer.writerow((name, one.count, one.total, one.rate, one.low, one.high))
    if found.escapes_expected:
        count, low, high = found.escapes_expected
        writer.writerow(("escapes_expected", count, found.passed, None, low, high))
    writer.writerow(("cannot_tell", found.cannot_tell, None, None, None, None))
    for label, count in found.defects:
        writer.writerow((f"defect: {label}", count, None, None, None, None))
    return text.getvalue()
