"""What sets the requests of a browser's pages apart from those of programs."""

from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from service.access.rules import SIGN_IN, STATION

_PAGES = ("/", "/docs", STATION.rstrip("/"))


def wants_page(headers: Headers) -> bool:
    """Whether a page is asked for: browsers name HTML, programs do not."""
    kinds = [entry.partition(";")[0].strip().lower() for entry in headers.get("accept", "").split(",")]
    return "text/html" in kinds


def leads_to_sign_in(scope: Scope, path: str) -> bool:
    """Whether a person asks for a page here; elsewhere also a browser is told no, as programs are.

    Probes that follow redirects would take the sign-in for a good answer.
    """
    is_page = path in _PAGES or path.startswith(STATION)
    return is_page and scope["method"] == "GET" and wants_page(Headers(scope=scope))


def sign_in_redirect(scope: Scope, path: str) -> Response:
    """Send a browser to the sign-in, and from there to where it wanted to go."""
    query = scope["query_string"].decode("latin-1")
    wanted = f"{path}?{query}" if query else path
    suffix = f"?next={quote(wanted, safe='/')}" if is_of_station(wanted) and path != STATION else ""
    return RedirectResponse(f"{scope.get('root_path', '')}{SIGN_IN}{suffix}", 303)


def is_of_station(target: str) -> bool:
    """Whether a path leads into the station, and to no other place."""
    return target.startswith(STATION) and not set("\\\r\n\t") & set(target) and "//" not in target
