"""Gives every request an id and turns what nobody foresaw into a problem, not into a stack trace."""

import asyncio
import logging
import uuid

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ShuttingDownError
from service.http.problems import problem_response
from service.http.scopes import inspection_id_of

READ_ANYWAY_BYTES = 1024 * 1024
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
                header = (ID_HEADER.encode(), inspection_id_of(scope).encode())
                message = {**message, "headers": [*message.get("headers", []), header]}
            await send(message)

        await self._app(scope, receive, send_with_id)


class CloseUnreadUploads:
    """Closes the connection after an answer that came before the end of a large or endless upload.

    The server would otherwise read and throw away what the client goes on sending.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        unread = _declares_much(Headers(scope=scope))

        async def receive_and_note() -> Message:
            nonlocal unread
            message = await receive()
            unread = unread and bool(message.get("more_body", False))
            return message

        async def send_and_close(message: Message) -> None:
            if unread and message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive_and_note, send_and_close)


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
            log.info("The client left before request %s was answered.", inspection_id_of(scope))
        except asyncio.CancelledError:
            # The server gives up what is unanswered when the time to drain is over.
            if scope["type"] != "http" or started:
                raise
            await _answer_cancelled(scope, receive, send)
        except Exception:
            if scope["type"] != "http" or started:
                raise
            log.exception("Request %s failed.", inspection_id_of(scope))
            detail = f"An unforeseen error. Look for {inspection_id_of(scope)} in the service's log."
            await problem_response("internal", detail, inspection_id_of(scope))(scope, receive, send)


def _declares_much(headers: Headers) -> bool:
    length = headers.get("content-length", "0")
    known = length.isascii() and length.isdigit() and int(length[:20]) <= READ_ANYWAY_BYTES
    return "transfer-encoding" in headers or not known


async def _answer_cancelled(scope: Scope, receive: Receive, send: Send) -> None:
    log.warning("Request %s was given up.", inspection_id_of(scope))
    error = ShuttingDownError()
    await problem_response(error.code, str(error), inspection_id_of(scope))(scope, receive, send)
