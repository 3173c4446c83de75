"""Signing in with an API key, and out again."""

import asyncio
import logging
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from service.access.keys import KeyRecord, Role, allows
from service.access.ring import KeyRing
from service.access.rules import SIGN_IN, STATION, least_role
from service.http.cookies import give_session, take_session
from service.http.pages import is_of_station
from service.station.pages import PageRoute
from service.station.station import Station
from service.station.viewer import Viewer, viewer_of

LEAST_ROLE: Role = "operator"
_LONGEST_KEY = 256

log = logging.getLogger(__name__)

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get(SIGN_IN)
def ask(request: Request) -> Response:
    viewer = viewer_of(request)
    target = _target(request.query_params.get("next", ""))
    if viewer.role is not None:
        least = least_role("GET", target.partition("?")[0])
        if least is None or viewer.may(least):
            return _go(request, target)
        return _form(request, target, error="role_too_small", status=200)
    return _form(request, target)


@router.post(SIGN_IN)
async def sign_in(request: Request) -> Response:
    station: Station = request.app.state.station
    keys: KeyRing | None = request.app.state.keys
    fields = parse_qs((await request.body()).decode(errors="replace"))
    target = _target(fields.get("next", [""])[0])
    if keys is None or station.sessions is None:
        return _go(request, target)
    address = request.client.host if request.client else ""
    record = keys.holder_of(fields.get("key", [""])[0].strip()[:_LONGEST_KEY])
    if record is None or not allows(record.role, LEAST_ROLE):
        whose = f"the key {record.id} ({record.role})" if record else "an unknown key"
        log.warning("A sign-in from %s with %s was refused.", address or "an unknown address", whose)
        if not await station.brake.wait(address):
            return await asyncio.to_thread(_form, request, target, error="too_many", status=429)
        station.brake.failed(address)
        return await asyncio.to_thread(
            _form, request, target, error="camera_key" if record else "unknown_key", status=403
        )
    station.brake.succeeded(address)
    return await asyncio.to_thread(_let_in, request, station, record, viewer_of(request), target)


@router.post(f"{STATION}sign-out")
def sign_out(request: Request) -> Response:
    station: Station = request.app.state.station
    viewer = viewer_of(request)
    if station.sessions is not None:
        station.sessions.close(viewer.token)
        log.info("Key %s (%s) signed out.", viewer.key_id, viewer.name)
    response = _go(request, SIGN_IN)
    take_session(response, request.scope)
    return response


def _let_in(request: Request, station: Station, record: KeyRecord, before: Viewer, target: str) -> Response:
    if station.sessions is None:
        return _go(request, target)
    station.sessions.close(before.token)
    log.info("Key %s (%s, %s) signed in.", record.id, record.name, record.role)
    request.state.key_id = record.id
    response = _go(request, target)
    # A new token: the one before may have been put there by somebody else.
    give_session(response, request.scope, station.sessions.open(record))
    return response


def _form(request: Request, target: str, *, error: str = "", status: int = 200) -> Response:
    station: Station = request.app.state.station
    return station.pages.render(request, "sign_in", status=status, target=target, error=error)


def _target(wanted: str) -> str:
    return wanted if is_of_station(wanted) else STATION


def _go(request: Request, target: str) -> Response:
    return RedirectResponse(f"{request.scope.get('root_path', '')}{target}", 303)
