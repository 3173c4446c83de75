"""What every answer tells a browser: to run, frame, guess and keep nothing of it."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access.rules import STATION
from service.http.scopes import path_of

ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
POLICY = "default-src 'none'; frame-ancestors 'none'"
# The page of /docs loads Swagger UI, and starts it with a script that stands in the page.
DOCS = "/docs"
DOCS_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data: https://fastapi.tiangolo.com; "
    "script-src 'unsafe-inline' https://cdn.jsdelivr.net; "
    "style-src 'unsafe-inline' https://cdn.jsdelivr.net; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The station's pages load their own scripts, styles and pictures, and nothing that stands in a page itself.
STATION_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' blob: data:; "
    "script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# A bundle's report is a page with styles and pictures of its own, and nothing else; it runs no script, even
# if somebody has put one there.
REPORT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
)
# Without any referrer, browsers would not say of the station's own forms that they come from its pages.
STATION_REFERRER = "same-origin"
# Verdicts and photos are for whoever asked, now; a cache would give them to others, or later.
CACHING = "no-store"


def complete(headers: MutableHeaders, path: str = "") -> None:
    """Add them to the headers of an answer to a request for `path`; empty if it is not known."""
    headers.update(ALWAYS)
    headers.setdefault("cache-control", CACHING)
    if headers.get("content-security-policy") == REPORT_POLICY:
        return
    headers["content-security-policy"] = DOCS_POLICY if path == DOCS else POLICY
    if path.startswith(STATION) and headers.get("content-type", "").startswith("text/html"):
        headers["content-security-policy"] = STATION_POLICY
        headers["referrer-policy"] = STATION_REFERRER


class SecurityHeaders:
    """Adds them to every answer, errors included; `Cache-Control` only where an answer has none itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": list(message.get("headers", []))}
                complete(MutableHeaders(scope=message), path_of(scope))
            await send(message)

        await self._app(scope, receive, send_with_headers)
