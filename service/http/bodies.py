"""Bounds the bodies of all requests but photos: how large they may be, and how long they may take."""

import asyncio
import re

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.observation import INSPECT
from service.http.problems import problem_response
from service.http.scopes import first_then, inspection_id_of, path_of

MAX_BODY_BYTES = 4 * 1024
# A judgement may come with a mask, which is a picture.
MAX_JUDGEMENT_BYTES = 3 * 1024 * 1024
_JUDGEMENTS = re.compile(r"/inspections/[^/]+/judgements")


class BodyLimits:
    """Reads a small body whole before the request goes on; answers 413 or 408 to one that is large or slow.

    Photos go by: their route has limits of its own.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        """`seconds`: the time a body may take to arrive."""
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_photo(scope) or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        refusal: Response | None = None
        body = b""
        most = MAX_JUDGEMENT_BYTES if _JUDGEMENTS.fullmatch(path_of(scope)) else MAX_BODY_BYTES
        try:
            async with asyncio.timeout(self._seconds):
                body = await _read(scope, receive, most)
        except _TooLargeError:
            detail = f"The body is too large. Send at most {most:,} bytes."
            refusal = problem_response("body_too_large", detail, inspection_id_of(scope))
        except TimeoutError:
            detail = f"The body had not arrived whole after {self._seconds:g} s. Send it at once."
            refusal = problem_response("upload_too_slow", detail, inspection_id_of(scope))
        await (refusal or self._app)(scope, _whole(body, receive), send)


class _TooLargeError(Exception):
    """The body has more bytes than may be."""


def _is_photo(scope: Scope) -> bool:
    return scope["method"] == "POST" and path_of(scope) == INSPECT


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


async def _read(scope: Scope, receive: Receive, most: int) -> bytes:
    declared = Headers(scope=scope).get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > most:
        raise _TooLargeError
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > most:
            raise _TooLargeError
        more = message.get("more_body", False)
    return body


def _whole(body: bytes, receive: Receive) -> Receive:
    return first_then({"type": "http.request", "body": body, "more_body": False}, receive)
