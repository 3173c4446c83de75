"""Lets a request in by its key, its role and the port it came by, before anything of its body is read."""

import logging

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.access.exposure import is_loopback
from service.access.keys import KeyRecord, allows
from service.access.ring import KeyRing
from service.access.rules import HEALTH_PATHS, least_role
from service.access.sessions import Sessions
from service.http.cookies import session_token
from service.http.pages import leads_to_sign_in, sign_in_redirect
from service.http.problems import problem_response
from service.http.scopes import inspection_id_of, path_of
from service.settings import Settings

KEY_HEADER = "X-Api-Key"
_SCHEME = "bearer"
_READING = ("GET", "HEAD")

log = logging.getLogger(__name__)


class AccessControl:
    """Answers 401 or 403 to whoever may not ask; notes the key in `scope["state"]` for the logs.

    `key_id`, `key_name` and `key_role` are those of the request's key, or of the key that its session stands
    for; then `by_session` is true. On the management port there is nothing but health and metrics, and they
    need no key.
    """

    def __init__(
        self, app: ASGIApp, *, settings: Settings, keys: KeyRing | None, sessions: Sessions | None
    ) -> None:
        self._app = app
        self._settings = settings
        self._keys = keys
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        refusal = self._refuse(scope)
        await (refusal or self._app)(scope, receive, send)

    def _refuse(self, scope: Scope) -> Response | None:
        """The answer to a request that is not let in; None lets it in."""
        method: str = scope["method"]
        path = path_of(scope)
        reads_health = method in _READING and path in HEALTH_PATHS
        if self._by_management_port(scope):
            return None if reads_health else _not_here(scope, method, path)
        if self._keys is None:
            return self._refuse_strangers(scope)
        if reads_health and self._settings.open_health:
            return None
        return self._refuse_by_key(scope, method, path, self._keys)

    def _refuse_by_key(self, scope: Scope, method: str, path: str, keys: KeyRing) -> Response | None:
        key = _key_of(Headers(scope=scope))
        least = least_role(method, path)
        record = self._holder(scope, key, keys)
        if record is not None:
            by_session = key is None
            scope["state"].update(
                key_id=record.id, key_name=record.name, key_role=record.role, by_session=by_session
            )
        if least is None:
            return None
        if record is None:
            return _not_known(scope, path, key)
        if allows(record.role, least):
            return None
        if scope["state"]["by_session"] and leads_to_sign_in(scope, path):
            # Another key may open it: the sign-in says which role it takes.
            return sign_in_redirect(scope, path)
        log.warning("Key %s (%s) was refused %s %r.", record.id, record.role, method, path[:128])
        detail = f"This takes a key of the role {least}; this one has the role {record.role}."
        return problem_response("forbidden", detail, inspection_id_of(scope))

    def _holder(self, scope: Scope, key: str | None, keys: KeyRing) -> KeyRecord | None:
        if key is not None:
            return keys.holder_of(key)
        token = session_token(scope)
        return self._sessions.holder_of(token) if token and self._sessions is not None else None

    def _refuse_strangers(self, scope: Scope) -> Response | None:
        # Another server than ours may listen elsewhere than the settings say.
        host = str((scope.get("server") or ("",))[0])
        if self._settings.allow_anonymous or not _is_address(host) or is_loopback(host):
            return None
        detail = (
            f"Without keys the service answers on the loopback address only, not on {host}. Serve with keys "
            "(GLINT_KEYS), or set GLINT_ALLOW_ANONYMOUS=true if whoever reaches it may do anything."
        )
        return problem_response("forbidden", detail, inspection_id_of(scope))

    def _by_management_port(self, scope: Scope) -> bool:
        port = self._settings.management_port
        return port is not None and (scope.get("server") or (None, None))[1] == port


def _key_of(headers: Headers) -> str | None:
    """The request's key; None when there is none. Several different ones are none that can be valid."""
    given = set(headers.getlist(KEY_HEADER.lower()))
    for value in headers.getlist("authorization"):
        scheme, _, key = value.partition(" ")
        given.add(key.strip() if scheme.lower() == _SCHEME else "")
    return (given.pop() if len(given) == 1 else "") if given else None


def _not_known(scope: Scope, path: str, key: str | None) -> Response:
    if key is None and leads_to_sign_in(scope, path):
        return sign_in_redirect(scope, path)
    said = "There is no API key." if key is None else "The API key is not valid."
    detail = f"{said} Send a valid one as `Authorization: Bearer KEY`, or in {KEY_HEADER}."
    headers = {"www-authenticate": 'Bearer realm="glint"'}
    return problem_response("unauthorized", detail, inspection_id_of(scope), headers=headers)


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _not_here(scope: Scope, method: str, path: str) -> Response:
    detail = f"{method} {path[:128]}: Not Found. This port serves {', '.join(HEALTH_PATHS)} only."
    return problem_response("not_found", detail, inspection_id_of(scope), status=404)
