"""The live board."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from service.access.rules import STATION
from service.station.pages import PageRoute
from service.station.station import Station

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get(STATION.rstrip("/"))
def without_slash(request: Request) -> Response:
    return RedirectResponse(f"{request.scope.get('root_path', '')}{STATION}", 308)


@router.get(STATION)
def board(request: Request) -> Response:
    station: Station = request.app.state.station
    return station.pages.render(request, "board")
