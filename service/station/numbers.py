"""What operators' judgements say of the service, as a page."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.access.rules import STATION
from service.http.judgements import desk_of
from service.review.figures import Period
from service.review.intervals import CONFIDENCE
from service.station.pages import PageRoute
from service.station.station import Station

PATH = f"{STATION}numbers"
SPANS = (1, 7, 30, 90)
_ALL = 0

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get(PATH)
def numbers(request: Request) -> Response:
    """Shares with their intervals, and the defects by class."""
    station: Station = request.app.state.station
    desk = desk_of(request)
    asked = request.query_params
    part = (asked.get("part") or "")[:64] or None
    days = next((each for each in SPANS if str(each) == asked.get("days")), _ALL)
    since = datetime.now(UTC) - timedelta(days=days) if days else None
    found = desk.numbers(Period(part, since))
    given = {"part": part, "from": since.isoformat(timespec="seconds") if since else None}
    return station.pages.render(
        request,
        "numbers",
        found=found,
        part=part,
        parts=desk.parts(),
        days=days,
        spans=SPANS,
        confidence=round(100 * CONFIDENCE),
        most=max((count for _, count in found.defects), default=0),
        query=urlencode({name: value for name, value in given.items() if value}),
    )
