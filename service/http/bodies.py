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
# Large bodies that are held in memory at a time, from their first byte to their answer.
MOST_LARGE_BODIES = 8
_JUDGEMENTS = re.compile(r"/inspections/[^/]+/judgements")


class BodyLimits:
    """Reads a body whole before the request goes on; answers 413 or 408 to one that is too large or slow.

    Only judgements may be large, and `MOST_LARGE_BODIES` of them at a time; the next one gets 503. Photos go
    by: their route has limits of its own. For one event loop.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        """`seconds`: the time a body may take to arrive."""
        self._app = app
        self._seconds = seconds
        self._large = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_photo(scope) or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        if not _may_be_large(scope):
            await self._answer(scope, receive, send, MAX_BODY_BYTES)
            return
        if self._large >= MOST_LARGE_BODIES:
            detail = f"{MOST_LARGE_BODIES} large bodies are held already. Send it again after Retry-After."
            await problem_response("too_many_bodies", detail, inspection_id_of(scope))(scope, receive, send)
            return
        self._large += 1
        try:
            await self._answer(scope, receive, send, MAX_JUDGEMENT_BYTES)
        finally:
            self._large -= 1

    async def _answer(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        refusal: Response | None = None
        body = b""
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


def _may_be_large(scope: Scope) -> bool:
    if scope["method"] != "POST" or not _JUDGEMENTS.fullmatch(path_of(scope)):
        return False
    length = Headers(scope=scope).get("content-length", "")
    # What declares to be small takes no place; what does not say how large it is may be anything.
    return not length.isdecimal() or int(length[:20]) > MAX_BODY_BYTES


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
