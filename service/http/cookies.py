"""The one cookie of the station: a random token, which stands for a session once its holder has signed in."""

from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

_LONGEST = 64


def session_token(scope: Scope) -> str | None:
    """The token that came with a request; None without one."""
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load("; ".join(Headers(scope=scope).getlist("cookie")))
    except CookieError:
        return None
    found = cookies.get(_name(scope))
    return found.value if found is not None and 0 < len(found.value) <= _LONGEST else None


def give_token(response: Response, scope: Scope, token: str) -> None:
    """Send a token to the browser, which sends it back to this service alone and shows it to no script."""
    response.set_cookie(
        _name(scope), token, path="/", httponly=True, samesite="strict", secure=_came_by_tls(scope)
    )


def take_token(response: Response, scope: Scope) -> None:
    """Make the browser forget the token."""
    response.delete_cookie(
        _name(scope), path="/", httponly=True, samesite="strict", secure=_came_by_tls(scope)
    )


def _name(scope: Scope) -> str:
    # Cookies do not tell ports apart: two services on one machine would sign each other's users out.
    port = Headers(scope=scope).get("host", "").rpartition(":")[2]
    return f"glint_station_{port}" if port.isascii() and port.isdigit() else "glint_station"


def _came_by_tls(scope: Scope) -> bool:
    # Behind a proxy only the browser knows, and says so in the origin of every form it sends.
    origin = Headers(scope=scope).get("origin", "")
    return scope["scheme"] == "https" or urlsplit(origin).scheme == "https"
