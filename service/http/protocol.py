"""HTTP/1.1 connections that cannot be held open by sending slowly, nor opened without number."""

import asyncio
import uuid
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.http.headers import complete
from service.http.problems import problem_response

HEAD_SECONDS = 10.0
MAX_CONNECTIONS = 512


class GuardedProtocol(H11Protocol):
    """Gives every request's head a time to arrive in, from the connection or from the answer before it.

    The time for the body is the request's deadline. What is no HTTP is answered with a problem.
    """

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # By port, so that a flood of the cameras' port does not keep the health check from its own.
        if sum(_port_of(other) == _port_of(self) for other in self.connections) > MAX_CONNECTIONS:
            transport.abort()
            return
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watching()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, unless an answer is under way; the connection ends either way."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            detail = "The request is not valid HTTP/1.1, or its head is too large. Send it again, whole."
            response = problem_response("malformed_request", detail, uuid.uuid4().hex)
            complete(response.headers)
            response.headers["connection"] = "close"
            events: list[Any] = [
                h11.Response(status_code=response.status_code, headers=response.raw_headers),
                h11.Data(data=bytes(response.body)),
                h11.EndOfMessage(),
            ]
            for event in events:
                self.transport.write(self.conn.send(event))
        self.transport.close()

    def _watch(self) -> None:
        waits = self.cycle is None or self.cycle.response_complete
        if not waits or self.transport.is_closing():
            self._stop_watching()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop_watching(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _port_of(connection: object) -> int | None:
    """The port that the client connected to."""
    server: tuple[str, int] | None = getattr(connection, "server", None)
    return server[1] if server else None
