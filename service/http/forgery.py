"""Keeps other web pages from sending requests in a user's name (cross-site request forgery)."""

import hmac
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access.rules import SIGN_IN, STATION
from service.access.sessions import form_token
from service.http.cookies import session_token, visitor_token
from service.http.problems import problem_response
from service.http.scopes import first_then, inspection_id_of, path_of

TOKEN_HEADER = "X-Csrf-Token"  # noqa: S105
TOKEN_FIELD = "csrf"  # noqa: S105
_HARMLESS = ("GET", "HEAD", "OPTIONS")
_FORM = "application/x-www-form-urlencoded"


class RefuseForgeries:
    """Answers 403 to a request that changes something and that another page may have sent.

    A browser says where a request came from, and all that come from elsewhere are refused. What is sent with
    a session, and all that goes to the station without a key, must carry the form token as well: in its
    header, or in a form's field. It stands inside `AccessControl`, and inside `BodyLimits`, which keeps the
    forms small.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _HARMLESS:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if _is_from_elsewhere(headers):
            detail = "The request came from a page of another site. Send it from the station's own pages."
            await problem_response("forged", detail, inspection_id_of(scope))(scope, receive, send)
            return
        if not _needs_token(scope):
            await self._app(scope, receive, send)
            return
        given = headers.get(TOKEN_HEADER.lower(), "")
        if not given and headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
            message = await receive()
            given, receive = _token_in(message), first_then(message, receive)
        if not any(_is_right(given, token) for token in _tokens(scope)):
            detail = f"The token in {TOKEN_HEADER} is missing or not of this session. Reload the page."
            await problem_response("forged", detail, inspection_id_of(scope))(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_from_elsewhere(headers: Headers) -> bool:
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    # Behind a proxy the scheme may differ, the host does not.
    return origin is not None and urlsplit(origin).netloc != headers.get("host", "")


def _needs_token(scope: Scope) -> bool:
    state = scope["state"]
    return bool(state.get("by_session")) or (path_of(scope).startswith(STATION) and "key_id" not in state)


def _tokens(scope: Scope) -> list[str | None]:
    """The tokens of which one's form token has to come with this request."""
    if scope["state"].get("by_session") and path_of(scope) != SIGN_IN:
        return [session_token(scope)]
    # A session may have ended since its page was made. And a link on another site, which brings no session
    # along, leads to a form of the visitor's.
    return [session_token(scope), visitor_token(scope)]


def _token_in(message: Message) -> str:
    try:
        fields = parse_qs(message.get("body", b"").decode(), max_num_fields=64)
    except ValueError:
        return ""
    return str(fields.get(TOKEN_FIELD, [""])[0])


def _is_right(given: str, token: str | None) -> bool:
    return token is not None and hmac.compare_digest(given.encode(), form_token(token).encode())
