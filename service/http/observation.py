"""Tells listeners of every request that was answered, with what was said of it on the way."""

import logging
import time
from collections.abc import Sequence
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.decision import INVALID
from service.http.problems import CODE_HEADER
from service.http.scopes import inspection_id_of
from service.telemetry.logs import request_id
from service.telemetry.names import OTHER
from service.telemetry.record import LEFT, Listener, RequestRecord

INSPECT = "/inspect"
_OK = 200

log = logging.getLogger(__name__)


class ObserveRequests:
    """Measures requests and hands a `RequestRecord` of each to the listeners.

    It stands inside `RequestIds`, whose id it needs, and outside all that may refuse a request. A handler
    leaves `fields` and `inspection` in the request's state.
    """

    def __init__(self, app: ASGIApp, listeners: Sequence[Listener]) -> None:
        self._app = app
        self._listeners = tuple(listeners)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        status, code = LEFT, ""

        async def send_and_note(message: Message) -> None:
            nonlocal status, code
            if message["type"] == "http.response.start":
                status, code = message["status"], Headers(raw=message.get("headers", [])).get(CODE_HEADER, "")
            await send(message)

        token = request_id.set(inspection_id_of(scope))
        try:
            await self._app(scope, receive, send_and_note)
        finally:
            self._tell(_record_of(scope, status, code, time.monotonic() - started))
            request_id.reset(token)

    def _tell(self, record: RequestRecord) -> None:
        for listener in self._listeners:
            try:
                listener(record)
            except Exception:
                # The answer has gone out; that nobody could note it must not break the connection.
                log.exception("Request %s could not be noted.", record.id)


def _record_of(scope: Scope, status: int, code: str, seconds: float) -> RequestRecord:
    state: dict[str, Any] = scope["state"]
    inspection, fields = state.get("inspection"), state.get("fields")
    route = _route_of(scope)
    verdict = INVALID if route == INSPECT else ""
    if inspection is not None and status == _OK:
        verdict = inspection.verdict
    return RequestRecord(
        id=inspection_id_of(scope),
        method=scope["method"],
        route=route,
        status=status,
        code=code,
        verdict=verdict,
        part=inspection.part if inspection is not None else getattr(fields, "part", None),
        camera=getattr(fields, "camera", None),
        serial=getattr(fields, "serial", None),
        seconds=seconds,
        ended=time.time(),
        key_id=str(state.get("key_id") or ""),
        traceparent=Headers(scope=scope).get("traceparent", ""),
        inspection=inspection,
    )


def _route_of(scope: Scope) -> str:
    path = getattr(scope.get("route"), "path", None)
    if path is not None:
        return str(path)
    # Refused before it came to a route.
    return INSPECT if scope["path"] == INSPECT else OTHER
