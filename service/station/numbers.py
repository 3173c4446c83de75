"""How the line ran, where defects lie, and what operators' judgements say of the service, as a page."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from models.intervals import CONFIDENCE
from service.access.rules import STATION
from service.archive.errors import PictureError
from service.http.fields import check_text
from service.http.judgements import desk_of
from service.http.trends import analyst_of
from service.plant_time import UNITS, Unit
from service.registry import Registry
from service.review.figures import Period
from service.station.line_charts import HEIGHT, WIDTH, Drawn, draw
from service.station.pages import PageRoute
from service.station.station import Station
from service.statistics.question import DIMENSIONS, MOST_READ, Question

if TYPE_CHECKING:
    from service.plant_time import PlantTime
    from service.statistics.trend import Bucket, Trend

PATH = f"{STATION}numbers"
SPANS = (1, 7, 30, 90)
_ALL = 0
_USUAL: Mapping[int, Unit] = {1: "hour", 7: "shift"}
_NO_CAMERA = "-"

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get(PATH)
def numbers(request: Request) -> Response:
    """The charts, the breakdown, the map of defects; shares with their intervals, and defects by class."""
    station: Station = request.app.state.station
    desk, analyst, words = desk_of(request), analyst_of(request), station.pages.texts["numbers"]
    days = next((each for each in SPANS if str(each) == request.query_params.get("days")), _ALL)
    question = _question(request, days, analyst.plant)
    trend = analyst.trend(question)
    found = desk.numbers(
        Period(question.part, question.since, camera=question.camera, version=question.version)
    )
    parts = sorted({*desk.parts(), *trend.choices["part"]})
    placed = question.part or (parts[0] if len(parts) == 1 else None)
    return station.pages.render(
        request,
        "numbers",
        found=found,
        trend=trend,
        asked=question,
        charts=_charts(trend, analyst.plant, words["months"]),
        chart_size=(WIDTH, HEIGHT),
        dimensions=DIMENSIONS,
        choices={**trend.choices, "part": parts},
        no_camera=_NO_CAMERA,
        units=[unit for unit in UNITS if unit != "shift" or analyst.plant.shifts],
        zone=analyst.plant.zone_name,
        since=f"{analyst.plant.local(trend.since):%Y-%m-%d %H:%M}" if trend.since else "",
        most_read=MOST_READ,
        placed=placed,
        places_query=_query(question, part=placed),
        days=days,
        spans=SPANS,
        confidence=round(100 * CONFIDENCE),
        most=max((count for _, count in found.defects), default=0),
        heat=_heat_colours() if placed else [],
        script_words={name: word for name, word in words.items() if name.startswith("places")},
        judged_query=_query(question, shift=None),
        trend_query=_query(question, by=question.by),
    )


@router.get(f"{PATH}/mean")
def mean(request: Request) -> Response:
    """The mean clean part of the bundle that serves a part, as PNG."""
    from models.mean_part import read_mean
    from models.overlay import encode_picture

    registry: Registry = request.app.state.registry
    loaded = registry.loaded.get(request.query_params.get("part", ""))
    found = read_mean(loaded.inspector.bundle) if loaded else None
    if found is None:
        raise PictureError(
            "no_mean", "No bundle with a mean clean part serves this part.", "Train it again: `glint train`."
        )
    return Response(encode_picture(found, "png"), media_type="image/png")


def _heat_colours() -> list[str]:
    from models.overlay import heat_colours

    return heat_colours()


def _question(request: Request, days: int, plant: "PlantTime") -> Question:
    """What the page is asked for; units and shifts that there are not are passed over.

    Raises:
        RequestError: `bad_field`, when a name holds what no name can.
    """
    asked = request.query_params

    def text(name: str) -> str | None:
        return check_text(name, asked.get(name, "")) or None

    usual = _USUAL.get(days, "day")
    by = next((unit for unit in UNITS if unit == asked.get("by")), usual)
    if by == "shift" and not plant.shifts:
        by = "hour" if days and days <= 7 else "day"
    shift = text("shift")
    camera = text("camera")
    return Question(
        since=datetime.now(UTC) - timedelta(days=days) if days else None,
        part=text("part"),
        camera="" if camera == _NO_CAMERA else camera,
        version=text("version"),
        shift=shift if shift in plant.shift_names else None,
        by=by,
    )


def _query(question: Question, **more: str | None) -> str:
    """The same question for the routes of programs."""
    since = question.since.isoformat(timespec="seconds") if question.since else None
    given = {name: getattr(question, name) for name in DIMENSIONS} | {"from": since} | more
    return urlencode({name: value for name, value in given.items() if value is not None})


def _charts(trend: "Trend", plant: "PlantTime", months: Sequence[str]) -> dict[str, Drawn]:
    names = [_name(bucket, trend.by, plant, months) for bucket in trend.buckets]
    return {name: draw(chart, names) for name, chart in trend.charts.items()}


def _name(bucket: "Bucket", by: Unit, plant: "PlantTime", months: Sequence[str]) -> str:
    local = plant.local(bucket.begin)
    date = f"{local.day} {months[local.month - 1]}"
    return date if by == "day" else f"{date} {local:%H:%M}"
