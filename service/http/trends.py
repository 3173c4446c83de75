"""The routes to how the line ran and where defects lie: `GET /numbers/...`, as JSON or CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from service.archive.errors import ArchiveOffError
from service.errors import RequestError
from service.http.archive import CameraName, Moment, PartName, VersionName
from service.http.documentation import problem_responses
from service.plant_time import Unit
from service.statistics.question import Dimension, Question

if TYPE_CHECKING:
    from service.statistics.analyst import Analyst
    from service.statistics.charts import Chart
    from service.statistics.places import Places
    from service.statistics.trend import Trend

_PROBLEMS = problem_responses(
    {
        404: "There is no archive, or no such shift.",
        422: "A filter cannot be used.",
        503: "The archive cannot be asked now.",
    }
)
_CSV = {
    200: {"description": "A table.", "content": {"text/csv": {"schema": {"type": "string"}}}},
    **_PROBLEMS,
}

router = APIRouter(prefix="/numbers", tags=["numbers"])


class Asked(BaseModel):
    """Which inspections count, in the query. A filter that is left out does not restrict."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    since: Moment | None = Field(default=None, alias="from", description="Inspected at or after this time.")
    until: Moment | None = Field(default=None, alias="to", description="Inspected before this time.")
    part: PartName | None = None
    camera: CameraName | None = Field(default=None, description="Empty: inspections that named no camera.")
    version: VersionName | None = Field(default=None, description="Of the bundle.")
    shift: str | None = Field(
        default=None, max_length=5, description="When it begins by the plant's clock: `06:00`."
    )

    def question(self, by: Unit = "day") -> Question:
        """The same for the analyst."""
        return Question(**self.model_dump(include=set(Asked.model_fields)), by=by)


class AskedBy(Asked):
    """Which inspections count, and what a point of a chart stands for."""

    by: Unit = Field(default="day", description="What one bucket is; without shifts, a shift is a day.")


class AskedPart(Asked):
    """Which inspections count; of one part, since others have other places."""

    part: PartName


class ChartPoint(BaseModel):
    """A value of a control chart with its limits."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    value: float | None = Field(description="Null with fewer than 20 inspections.")
    low: float | None
    high: float | None = Field(description="Null without a value, or where too few buckets give no limits.")
    signal: Literal["above", "below", "run above", "run below"] | None = Field(
        description="Beyond a limit, or the eighth in a row or later on one side of the centre."
    )


class TrendBucket(BaseModel):
    """An hour, shift or day."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    begin: AwareDatetime
    end: AwareDatetime
    shift: str
    inspected: int = Field(description="With a verdict.")
    rejects: int
    invalid: int = Field(description="Without one; they count for nothing else.")
    rejects_chart: ChartPoint = Field(description="The share of rejects: a p-chart, after Laney.")
    median_chart: ChartPoint = Field(description="The median of the scores: a chart of individuals.")
    upper_chart: ChartPoint = Field(description="Their 90th percentile: a chart of individuals.")


class TrendGroup(BaseModel):
    """The inspections of a part, camera, shift or bundle version."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    name: str
    inspected: int
    rejects: int
    rate: float | None
    invalid: int


class TrendAnswer(BaseModel):
    """How the line ran."""

    model_config = ConfigDict(frozen=True)

    by: Unit
    time_zone: str
    since: AwareDatetime | None = Field(description="What counts from; null for the beginning.")
    shortened: bool = Field(description="There is more; only the newest counts.")
    buckets: list[TrendBucket]
    centres: dict[str, float | None] = Field(description="Of the charts `rejects`, `median` and `upper`.")
    groups: dict[Dimension, list[TrendGroup]]


class PlacesAnswer(BaseModel):
    """Where on the part defects lie."""

    model_config = ConfigDict(frozen=True)

    rows: int
    columns: int
    cells: list[list[int]] = Field(
        description="How many defects cover each cell; cells divide the model's input, from its top left."
    )
    defects: int = Field(description="How many have a place.")
    drawn: int = Field(description="Of these, as operators drew them; the others as the boxes of regions.")
    without_place: int = Field(
        description="Defects without a region, such as those that the classifier alone found."
    )
    good: int = Field(description="Left out: operators say that they are good.")
    shortened: bool = Field(description="There are more; only the newest count.")


@router.get("/trend", summary="How the line ran, with control limits", responses=_PROBLEMS)
def trend(request: Request, wanted: Annotated[AskedBy, Query()]) -> TrendAnswer:
    analyst = analyst_of(request)
    found = analyst.trend(checked(analyst, wanted.question(wanted.by)))
    return TrendAnswer(
        by=found.by,
        time_zone=analyst.plant.zone_name,
        since=found.since,
        shortened=found.shortened,
        buckets=_buckets(found),
        centres={name: chart.centre for name, chart in found.charts.items()},
        groups={
            dimension: [TrendGroup.model_validate(group) for group in groups]
            for dimension, groups in found.groups.items()
        },
    )


@router.get("/trend.csv", summary="The same as a table", response_class=Response, responses=_CSV)
def trend_csv(request: Request, wanted: Annotated[AskedBy, Query()]) -> Response:
    analyst = analyst_of(request)
    found = analyst.trend(checked(analyst, wanted.question(wanted.by)))
    columns = [f"{name}_{field}" for name in found.charts for field in ("value", "low", "high", "signal")]
    rows = [
        (
            analyst.plant.local(bucket.begin).isoformat(),
            analyst.plant.local(bucket.end).isoformat(),
            bucket.shift,
            bucket.inspected,
            bucket.rejects,
            bucket.invalid,
            *(value for chart in found.charts.values() for value in _cells_of(chart, number)),
        )
        for number, bucket in enumerate(found.buckets)
    ]
    head = ("begin", "end", "shift", "inspected", "rejects", "invalid", *columns)
    return _table("glint-trend.csv", head, rows)


@router.get("/groups.csv", summary="By part, camera, shift, version", response_class=Response, responses=_CSV)
def groups_csv(request: Request, wanted: Annotated[AskedBy, Query()]) -> Response:
    analyst = analyst_of(request)
    found = analyst.trend(checked(analyst, wanted.question(wanted.by)))
    rows = [
        (dimension, group.name, group.inspected, group.rejects, group.rate, group.invalid)
        for dimension, groups in found.groups.items()
        for group in groups
    ]
    return _table("glint-groups.csv", ("by", "name", "inspected", "rejects", "rate", "invalid"), rows)


@router.get("/places", summary="Where on a part defects lie", responses=_PROBLEMS)
def places(request: Request, wanted: Annotated[AskedPart, Query()]) -> PlacesAnswer:
    found = _places(request, wanted)
    rows, columns = found.cells.shape
    return PlacesAnswer(
        rows=rows,
        columns=columns,
        cells=found.cells.tolist(),
        defects=found.defects,
        drawn=found.drawn,
        without_place=found.without_place,
        good=found.good,
        shortened=found.shortened,
    )


@router.get("/places.csv", summary="The same as a table", response_class=Response, responses=_CSV)
def places_csv(request: Request, wanted: Annotated[AskedPart, Query()]) -> Response:
    cells = _places(request, wanted).cells.tolist()
    rows = ((row, column, count) for row, counts in enumerate(cells) for column, count in enumerate(counts))
    return _table("glint-places.csv", ("row", "column", "defects"), rows)


def analyst_of(request: Request) -> "Analyst":
    """Who answers.

    Raises:
        ArchiveOffError: when there is no archive.
    """
    analyst: Analyst | None = request.app.state.analyst
    if analyst is None:
        raise ArchiveOffError
    return analyst


def checked(analyst: "Analyst", question: Question) -> Question:
    """The question, if its shift is one of the plant's.

    Raises:
        RequestError: `unknown_shift`.
    """
    names = analyst.plant.shift_names
    if question.shift is not None and question.shift not in names:
        known = f"Use one of {', '.join(names)}." if names else "Set GLINT_SHIFTS to tell shifts apart."
        raise RequestError("unknown_shift", f"The shift {question.shift!r} is not known.", known)
    return question


def _places(request: Request, wanted: AskedPart) -> "Places":
    analyst = analyst_of(request)
    return analyst.places(checked(analyst, wanted.question()))


def _buckets(found: "Trend") -> list[TrendBucket]:
    points = zip(*(chart.points for chart in (found.rejects, found.median, found.upper)), strict=True)
    return [
        TrendBucket(
            **{name: getattr(bucket, name) for name in ("begin", "end", "shift")},
            inspected=bucket.inspected,
            rejects=bucket.rejects,
            invalid=bucket.invalid,
            rejects_chart=ChartPoint.model_validate(rejects),
            median_chart=ChartPoint.model_validate(median),
            upper_chart=ChartPoint.model_validate(upper),
        )
        for bucket, (rejects, median, upper) in zip(found.buckets, points, strict=True)
    ]


def _cells_of(chart: "Chart", number: int) -> tuple[float | str | None, ...]:
    point = chart.points[number]
    return (point.value, point.low, point.high, point.signal)


def _table(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows([_harmless(value) for value in row] for row in rows)
    return Response(
        text.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


def _harmless(value: object) -> object:
    """Text that a spreadsheet would take for a formula begins with an apostrophe: cameras name themselves."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@" and value else value
