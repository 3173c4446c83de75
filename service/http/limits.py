"""Refuses requests whose head is larger than any camera's."""

from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.problems import problem_response
from service.http.scopes import inspection_id_of

MAX_HEADERS = 64
MAX_HEADER_BYTES = 16 * 1024
MAX_TARGET_BYTES = 8 * 1024


class HeadLimits:
    """Answers 431 or 414 to too many or too long headers, or too long a path and query."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (code := _excess(scope)):
            detail = (
                f"The request's head is too large. Send at most {MAX_HEADERS} headers, {MAX_HEADER_BYTES:,} "
                f"bytes in all, and {MAX_TARGET_BYTES:,} bytes of path and query."
            )
            refusal = problem_response(code, detail, inspection_id_of(scope))
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _excess(scope: Scope) -> str:
    headers = scope["headers"]
    if len(headers) > MAX_HEADERS or sum(len(n) + len(v) for n, v in headers) > MAX_HEADER_BYTES:
        return "headers_too_large"
    target = len(scope.get("raw_path") or scope["path"].encode()) + len(scope["query_string"])
    return "target_too_long" if target > MAX_TARGET_BYTES else ""
