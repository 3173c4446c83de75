"""All routes of the station."""

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.access.rules import STATION
from service.station import board, inspections, limits, models, numbers, review, signing_in, static_files
from service.station.pages import PageRoute

nowhere = APIRouter(route_class=PageRoute, include_in_schema=False)


@nowhere.get(f"{STATION}{{path:path}}")
def no_such_page(request: Request, path: str) -> Response:
    raise HTTPException(404, f"The station has no page {path[:64]!r}.")


# The last one takes what the others left.
ROUTERS = (
    static_files.router,
    signing_in.router,
    board.router,
    inspections.router,
    review.router,
    numbers.router,
    limits.router,
    models.router,
    nowhere,
)

router = APIRouter()
for each in ROUTERS:
    router.include_router(each)
