"""The two cookies of the station: a session's token, and the token of who has not signed in."""

from typing import Literal
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import Scope

_LONGEST = 64
_SESSION = "glint_station"
# Apart from the session's, which a link on another site does not bring along: the page that answers such a
# link would otherwise put a new token in its place, and end the session.
_VISITOR = "glint_visitor"


def session_token(scope: Scope) -> str | None:
    """The token that stands for a session; None without one."""
    return _token(scope, _SESSION)


def visitor_token(scope: Scope) -> str | None:
    """The token by which the forms of who has not signed in are known; None without one."""
    return _token(scope, _VISITOR)


def give_session(response: Response, scope: Scope, token: str) -> None:
    """Send a session's token to the browser; that of the visitor has done its work."""
    _give(response, scope, _SESSION, token, "strict")
    _take(response, scope, _VISITOR)


def give_visitor_token(response: Response, scope: Scope, token: str) -> None:
    """Send a visitor's token to the browser, which brings it along when a link elsewhere leads here."""
    _give(response, scope, _VISITOR, token, "lax")


def take_session(response: Response, scope: Scope) -> None:
    """Make the browser forget the session's token."""
    _take(response, scope, _SESSION)


def _token(scope: Scope, kind: str) -> str | None:
    found = cookie_parser("; ".join(Headers(scope=scope).getlist("cookie"))).get(_name(scope, kind), "")
    return found if 0 < len(found) <= _LONGEST else None


def _give(
    response: Response, scope: Scope, kind: str, token: str, samesite: Literal["lax", "strict"]
) -> None:
    # It comes back to this service alone, with no form of another site, and no script can read it.
    response.set_cookie(
        _name(scope, kind), token, path="/", httponly=True, samesite=samesite, secure=_came_by_tls(scope)
    )


def _take(response: Response, scope: Scope, kind: str) -> None:
    response.delete_cookie(_name(scope, kind), path="/", httponly=True, secure=_came_by_tls(scope))


def _name(scope: Scope, kind: str) -> str:
    # Cookies do not tell ports apart: two services on one machine would sign each other's users out.
    port = Headers(scope=scope).get("host", "").rpartition(":")[2]
    return f"{kind}_{port}" if port.isascii() and port.isdigit() else kind


def _came_by_tls(scope: Scope) -> bool:
    # Behind a proxy only the browser knows, and says so in the origin of every form it sends.
    origin = Headers(scope=scope).get("origin", "")
    return scope["scheme"] == "https" or urlsplit(origin).scheme == "https"
