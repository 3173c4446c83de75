"""Who looks at a page, and what their forms carry."""

from dataclasses import dataclass

from starlette.requests import Request

from service.access.keys import Role, allows
from service.access.sessions import form_token, new_token
from service.http.cookies import session_token, visitor_token


@dataclass(frozen=True)
class Viewer:
    """Who looks at a page.

    Attributes:
        name: of their key; empty where nobody has signed in.
        key_id: of their key; empty without one.
        role: what they may do; None before they signed in.
        open: the service has no keys, and everybody may do anything.
        token: of their cookie: the session's, or the visitor's before they signed in.
        is_new: the browser does not have that cookie yet.
    """

    name: str
    key_id: str
    role: Role | None
    open: bool
    token: str
    is_new: bool

    @property
    def csrf(self) -> str:
        """What their forms must carry; see `service.http.forgery`."""
        return form_token(self.token)

    def may(self, least: Role) -> bool:
        """Whether they may do what takes this role."""
        return self.role is not None and allows(self.role, least)


def viewer_of(request: Request) -> Viewer:
    """Who sent this request."""
    is_open = request.app.state.keys is None
    state = request.scope["state"]
    token = (session_token if state.get("by_session") else visitor_token)(request.scope)
    return Viewer(
        name=state.get("key_name", ""),
        key_id=state.get("key_id", ""),
        role="admin" if is_open else state.get("key_role"),
        open=is_open,
        token=token or new_token(),
        is_new=token is None,
    )
