"""Runs the service until it is told to stop."""

import contextlib
import gc
import logging
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from service.activations.opening import open_book
from service.app import create_app, end_process
from service.archive.opening import open_archive
from service.errors import SettingsError
from service.http.limits import MAX_HEADER_BYTES
from service.http.protocol import GuardedProtocol
from service.priority import LOADER
from service.registry import Registry
from service.settings import Settings
from service.telemetry.logs import configure_logging

EXIT_CODE_HANGING = 71
# How long a client may leave what it was sent unacknowledged before it counts as gone.
GONE_SECONDS = 30.0
_SECONDS_FOR_LAST_THREADS = 1.0

log = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then refuse what is new, answer what was accepted, and return.

    Raises:
        DeviceError: before listening, when the device is `cuda` and a session does not run there.
        ExposureError, KeysError: when it would let anybody in, or the keys cannot be read.
        ArchiveSchemaError: before listening, when a newer Glint has made the archive's database.
        SettingsError: when the address cannot be listened on.
    """
    configure_logging(settings.log_format)
    # What is refused at once comes first; what takes long, or leaves traces, after it.
    archive = open_archive(settings)
    registry = Registry(settings, end_process, open_book(settings, archive))
    app = create_app(settings, registry=registry, archive=archive)
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(each) for each in listen(settings)]
        if settings.device == "cuda":
            registry.load()
        if archive is not None:
            archive.start()
        _run(app, settings, sockets)


def _run(app: FastAPI, settings: Settings, sockets: list[socket.socket]) -> None:
    for each in sockets:
        log.info("Listening on http://%s:%d", *each.getsockname()[:2])
    config = uvicorn.Config(
        app,
        http=GuardedProtocol,
        timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        proxy_headers=False,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
    )
    server = _Server(config, app)
    # All that is here now stays. Looking through it for garbage, again and again, would hold up answers.
    gc.freeze()
    with _signals_end_quietly(server):
        server.run(sockets=sockets)
    _end_what_hangs()


class _Server(uvicorn.Server):
    """Lets the station's boards go first: their streams have no end that could be waited for."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.station.feed.close()
        await super().shutdown(sockets)


def listen(settings: Settings) -> Iterator[socket.socket]:
    """Take the ports of the settings, one socket each; nobody can connect before a server listens on it.

    Raises:
        SettingsError: when a port cannot be had.
    """
    yield _bind(settings.host, settings.port, "--host", "--port")
    if settings.management_port is not None:
        host, port = settings.management_host, settings.management_port
        yield _bind(host, port, "--management-host", "--management-port")


def _bind(host: str, port: int, host_option: str, port_option: str) -> socket.socket:
    """Take one port."""
    # asyncio sends answers without delay (TCP_NODELAY) only where the protocol is named; else the end of an
    # answer waits about 40 ms for the client to acknowledge its beginning.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Connections inherit it. A board's client that lost its network says no goodbye, and would keep its
        # place for a quarter of an hour.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(1e3 * GONE_SECONDS))
    if bound.family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise SettingsError(
            f"Nothing can listen on {host} port {port}: {error.strerror}.",
            f"Stop what listens there, or use another {port_option} or {host_option}.",
        ) from error
    return bound


def _end_what_hangs() -> None:
    """End the process if threads are left that Python would wait for, as in a photo store that hangs.

    One that still loads bundles is waited for as well: Python ends it in the midst of ONNX Runtime otherwise,
    and that aborts the process.
    """
    last = time.monotonic() + _SECONDS_FOR_LAST_THREADS
    others = [thread for thread in threading.enumerate() if thread is not threading.current_thread()]
    left = [thread for thread in others if not thread.daemon or thread.name.startswith(LOADER)]
    for thread in left:
        thread.join(max(0.0, last - time.monotonic()))
    alive = [thread for thread in left if thread.is_alive()]
    hanging = sorted(thread.name for thread in alive if not thread.name.startswith(LOADER))
    if hanging:
        log.critical("The service ends although these threads hang: %s", ", ".join(hanging))
        logging.shutdown()
        os._exit(EXIT_CODE_HANGING)
    if alive:
        logging.shutdown()
        os._exit(0)


@contextlib.contextmanager
def _signals_end_quietly(server: uvicorn.Server) -> Iterator[None]:
    """Make a drained shutdown exit with code 0.

    uvicorn raises the signal it was stopped by once more when it is done, for whoever handled it before;
    Python's own handlers would end the process as if it had failed. A signal that comes before uvicorn
    listens for it stops it as well.
    """

    def stop(number: int, frame: object) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
