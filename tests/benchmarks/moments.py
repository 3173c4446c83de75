"""The service with a layer around it that tells when a request came, had arrived whole, and was answered."""

import json
import sys
import time

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.app import create_app
from service.http.protocol import GuardedProtocol
from service.settings import Settings

HEADER = b"x-moments"


class Moments:
    """Notes when a request came to the application, when its body had arrived and when its answer began."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        moments = {"called": time.monotonic()}

        async def receive_and_note() -> Message:
            message = await receive()
            if not message.get("more_body", False):
                moments["received"] = time.monotonic()
            return message

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                moments["answered"] = time.monotonic()
                header = (HEADER, json.dumps(moments).encode())
                message = {**message, "headers": [*message["headers"], header]}
            await send(message)

        await self._app(scope, receive_and_note, send_and_note)


def serve() -> None:
    """The service with `Moments` around it, as `tests.service.live.serving` starts a script."""
    port, bundles = sys.argv[1:3]
    app = create_app(Settings.of(bundles=bundles, device="cpu", port=int(port)))
    app.add_middleware(Moments)
    uvicorn.run(app, port=int(port), http=GuardedProtocol, log_level="warning", access_log=False, ws="none")
