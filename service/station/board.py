"""The live board."""

import asyncio
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from service.access.rules import STATION
from service.http.cookies import session_token
from service.station.cameras import WINDOW
from service.station.pages import PageRoute
from service.station.station import Station
from service.station.stream import BEAT_SECONDS, board_events

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get(STATION.rstrip("/"))
def without_slash(request: Request) -> Response:
    return RedirectResponse(f"{request.scope.get('root_path', '')}{STATION}", 308)


@router.get(STATION)
def board(request: Request) -> Response:
    station: Station = request.app.state.station
    return station.pages.render(request, "board", window=WINDOW, beat_seconds=BEAT_SECONDS)


@router.get(f"{STATION}events")
async def events(request: Request) -> Response:
    station: Station = request.app.state.station
    await station.look_back()
    hello = {"assets": station.pages.assets.version}
    stream = board_events(station.feed, station.alarms.status, hello, partial(_may_look, request, station))
    return StreamingResponse(stream, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


@router.get(f"{STATION}pulse", status_code=204)
async def pulse() -> None:
    """Whether the service answers this user at all, for a page whose stream has broken."""


@router.get(f"{STATION}pictures/{{inspection_id}}")
def picture(request: Request, inspection_id: str) -> Response:
    station: Station = request.app.state.station
    found = station.sources.preview(inspection_id)
    return Response(found.data, media_type=found.media_type)


def _may_look(request: Request, station: Station) -> bool:
    """Whether the session still goes on, or the key that came in a header is still valid."""
    state, keys = request.scope["state"], request.app.state.keys
    if station.sessions is None or keys is None:
        return True
    if not state.get("by_session"):
        return keys.record(state.get("key_id", "")) is not None
    token = session_token(request.scope)
    if token is None or station.sessions.holder_of(token) is None:
        return False
    if station.sessions.is_save_due:
        asyncio.get_running_loop().run_in_executor(None, station.sessions.save)
    return True
