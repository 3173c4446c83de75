"""All routes of the station."""

from fastapi import APIRouter

from service.station import board, signing_in, static_files

ROUTERS = (static_files.router, signing_in.router, board.router)

router = APIRouter()
for each in ROUTERS:
    router.include_router(each)
