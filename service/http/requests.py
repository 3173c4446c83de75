"""Gives every request an id and turns what nobody foresaw into a problem, not into a stack trace."""

import logging
import uuid

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.problems import problem_response

ID_HEADER = "x-glint-id"

log = logging.getLogger(__name__)


class RequestIds:
    """Puts the request's id into `scope["state"]["inspection_id"]` and into the answer's X-Glint-Id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        inspection_id = uuid.uuid4().hex
        scope.setdefault("state", {})["inspection_id"] = inspection_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                header = (ID_HEADER.encode(), inspection_id.encode())
                message = {**message, "headers": [*message.get("headers", []), header]}
            await send(message)

        await self._app(scope, receive, send_with_id)


class UnforeseenErrors:
    """Logs an unforeseen exception with the request's id; the answer is a problem that names only the id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except ClientDisconnect:
            log.info("The client left before request %s was answered.", _id_of(scope))
        except Exception:
            if scope["type"] != "http" or started:
                raise
            log.exception("Request %s failed.", _id_of(scope))
            detail = f"An unforeseen error. Look for {_id_of(scope)} in the service's log."
            await problem_response("internal", detail, _id_of(scope))(scope, receive, send)


def _id_of(scope: Scope) -> str:
    return str(scope.get("state", {}).get("inspection_id", ""))
