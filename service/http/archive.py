"""The routes to what was inspected before: `GET /inspections` and what hangs below it."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema
from starlette.responses import Response

from models.answer import Inspection
from models.formats import OVERLAY_MEDIA_TYPES
from service.archive.errors import ArchiveOffError, UnknownInspectionError
from service.archive.filters import Cursor, Filters
from service.archive.records import Record
from service.http.documentation import problem_responses
from service.http.fields import MAX_LENGTH, TEXT_PATTERN, check_text

if TYPE_CHECKING:
    from service.archive.archive import Archive

LARGEST_PAGE = 500

_PROBLEMS = problem_responses(
    {
        404: "There is none; `code` says why.",
        422: "A filter cannot be used.",
        503: "The archive cannot be asked now.",
    }
)

# Said in the document alone: any other id is one that nobody knows.
InspectionId = Annotated[str, Path(json_schema_extra={"pattern": "^[0-9a-f]{32}$"})]

router = APIRouter(tags=["archive"])

_PICTURE: dict[str, Any] = {
    "description": "The picture.",
    "content": {
        kind: {"schema": {"type": "string", "format": "binary"}}
        for kind in ("image/jpeg", "image/png", "image/bmp", "image/tiff", "image/webp")
    },
}


def _name(field: str) -> AfterValidator:
    return AfterValidator(lambda value: check_text(field, value))


# What `check_text` takes, for the document.
_TEXT = WithJsonSchema({"type": "string", "maxLength": MAX_LENGTH, "pattern": TEXT_PATTERN})


PartName = Annotated[str, _name("part"), _TEXT]
CameraName = Annotated[str, _name("camera"), _TEXT]
VersionName = Annotated[str, _name("version"), _TEXT]


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("in UTC, this is before the year 1 or after the year 9999") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class Search(BaseModel):
    """What to look for, in the query. A filter that is left out does not restrict."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    since: Moment | None = Field(
        default=None,
        alias="from",
        description="Recorded at or after this time; with its zone: 2026-01-01T06:00:00Z.",
    )
    until: Moment | None = Field(default=None, alias="to", description="Recorded before this time.")
    part: PartName | None = None
    camera: CameraName | None = None
    serial: Annotated[str, _name("serial"), _TEXT] | None = None
    verdict: Annotated[str, _name("verdict"), _TEXT] | None = Field(
        default=None,
        description="`clean`, a defect class, `anomalous`, or `invalid`.",
    )
    needs_review: bool | None = None
    limit: int = Field(default=50, ge=1, le=LARGEST_PAGE, description="Inspections a page.")
    cursor: str | None = Field(
        default=None, max_length=256, description="`next_cursor` of the page before; keep the filters."
    )

    def filters(self) -> Filters:
        """The filters alone."""
        wanted = {name: getattr(self, name) for name in Filters.__dataclass_fields__}
        return Filters(**wanted)


class ArchivedInspection(BaseModel):
    """An inspection in a list."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    time: AwareDatetime = Field(description="When it was recorded, UTC.")
    part: str
    serial: str | None
    camera: str | None
    verdict: str = Field(description="`clean`, a defect class, `anomalous`, or `invalid`.")
    score: float | None
    needs_review: bool
    anomaly_score: float | None
    defect_probability: float | None
    bundle_version: str
    image_sha256: str
    photo: Literal["kept", "not_kept", "removed"] = Field(description="Whether there is a photo to look at.")
    image_url: str | None = Field(description="Path of the photo; null where there is none.")
    overlay_url: str | None = Field(description="Path of the overlay; null where there is none.")


class InspectionPage(BaseModel):
    """Some inspections, newest first."""

    model_config = ConfigDict(frozen=True)

    inspections: list[ArchivedInspection]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last.")


class InspectionDetail(ArchivedInspection):
    """An inspection with the whole answer that was given."""

    answer: Inspection


@router.get("/inspections", summary="Look for inspections, newest first", responses=_PROBLEMS)
def search(request: Request, wanted: Annotated[Search, Query()]) -> InspectionPage:
    after = Cursor.decode(wanted.cursor) if wanted.cursor else None
    records, following = _archive(request).page(wanted.filters(), wanted.limit, after)
    return InspectionPage(
        inspections=[ArchivedInspection.model_validate(_fields(record)) for record in records],
        next_cursor=following.encode() if following else None,
    )


@router.get("/inspections/{inspection_id}", summary="One inspection", responses=_PROBLEMS)
def detail(request: Request, inspection_id: InspectionId) -> InspectionDetail:
    record = _find(request, inspection_id)
    return InspectionDetail.model_validate({**_fields(record), "answer": record.inspection})


@router.get(
    "/inspections/{inspection_id}/image",
    summary="The photo of an inspection, as it was sent",
    response_class=Response,
    responses={200: _PICTURE, **_PROBLEMS},
)
def image(request: Request, inspection_id: InspectionId) -> Response:
    record = _find(request, inspection_id)
    data = _archive(request).picture(record, record.photo)
    return Response(data, media_type=record.image_media_type)


@router.get(
    "/inspections/{inspection_id}/overlay",
    summary="The heatmap overlay of an inspection",
    response_class=Response,
    responses={200: _PICTURE, **_PROBLEMS},
)
def overlay(request: Request, inspection_id: InspectionId) -> Response:
    record = _find(request, inspection_id)
    data = _archive(request).picture(record, record.overlay)
    form = record.overlay_format
    return Response(data, media_type=OVERLAY_MEDIA_TYPES[form] if form else None)


def _archive(request: Request) -> "Archive":
    archive: Archive | None = request.app.state.archive
    if archive is None:
        raise ArchiveOffError
    return archive


def _find(request: Request, inspection_id: str) -> Record:
    archive = _archive(request)
    # Ids are ours; whatever else was typed need not reach the database.
    if not re.fullmatch("[0-9a-f]{32}", inspection_id):
        raise UnknownInspectionError(inspection_id)
    return archive.find(inspection_id)


def _fields(record: Record) -> dict[str, Any]:
    path = f"/inspections/{record.id}"
    kept = record.photo_state == "kept"
    return {
        **{name: getattr(record, name) for name in Record.__dataclass_fields__},
        "photo": "removed" if record.photo_state == "removing" else record.photo_state,
        "image_url": f"{path}/image" if kept else None,
        "overlay_url": f"{path}/overlay" if kept and record.overlay else None,
    }
