"""What several layers read off a request's ASGI scope."""

from starlette.types import Message, Receive, Scope


def inspection_id_of(scope: Scope) -> str:
    """The id that `RequestIds` gave the request; empty where it gave none."""
    return str(scope.get("state", {}).get("inspection_id", ""))


def path_of(scope: Scope) -> str:
    """The request's path as the routes know it: without the prefix that a proxy adds."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def first_then(first: Message, receive: Receive) -> Receive:
    """Give a message that was read already, then what comes after it."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return first

    return receive_again
