"""Serves the station's assets."""

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.access.rules import STATION
from service.station.station import Station

FOREVER = "public, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)


@router.get(f"{STATION}static/{{version}}/{{name:path}}")
async def asset(request: Request, version: str, name: str) -> Response:
    station: Station = request.app.state.station
    found = station.pages.assets.find(name)
    if found is None:
        raise HTTPException(404)
    # A page of the version before gets today's file, and must not keep it under the old address.
    caching = FOREVER if version == station.pages.assets.version else "no-store"
    return Response(found.data, media_type=found.media_type, headers={"cache-control": caching})
