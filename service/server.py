"""Runs the service until it is told to stop."""

import contextlib
import logging
import math
import signal
import socket
from collections.abc import Iterator

import uvicorn

from service.app import create_app, end_process
from service.archive.archive import open_archive
from service.errors import SettingsError
from service.registry import Registry
from service.settings import Settings

log = logging.getLogger(__name__)

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then refuse what is new, answer what was accepted, and return.

    Raises:
        DeviceError: before listening, when the device is `cuda` and a session does not run there.
        ArchiveSchemaError: before listening, when a newer Glint has made the archive's database.
        SettingsError: when the address cannot be listened on.
    """
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    registry = Registry(settings, end_process)
    archive = open_archive(settings)
    if settings.device == "cuda":
        registry.load()
    if archive is not None:
        archive.start()
    listener = _listen(settings)
    config = uvicorn.Config(
        create_app(settings, registry=registry, archive=archive),
        timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
    )
    with _signals_end_quietly():
        uvicorn.Server(config).run(sockets=[listener])


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        raise SettingsError(
            f"Nothing can listen on {settings.host} port {settings.port}: {error.strerror}.",
            "Stop what listens there, or use another --port or --host.",
        ) from error
    log.info("Listening on http://%s:%d", *listener.getsockname()[:2])
    return listener


@contextlib.contextmanager
def _signals_end_quietly() -> Iterator[None]:
    """Make a drained shutdown exit with code 0.

    uvicorn raises the signal it was stopped by once more when it is done, for whoever handled it before;
    Python's own handlers would end the process as if it had failed.
    """
    before = {number: signal.signal(number, _ignore) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore(number: int, frame: object) -> None:
    """Do nothing more: uvicorn has acted on the signal already."""
