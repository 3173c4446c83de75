"""What several layers read off a request's ASGI scope."""

from starlette.types import Scope


def inspection_id_of(scope: Scope) -> str:
    """The id that `RequestIds` gave the request; empty where it gave none."""
    return str(scope.get("state", {}).get("inspection_id", ""))


def path_of(scope: Scope) -> str:
    """The request's path as the routes know it: without the prefix that a proxy adds."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
