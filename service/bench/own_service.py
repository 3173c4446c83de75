"""A service of the measurement's own: a process on a free loopback port, without an archive."""

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from models.session import Device
from service.bench.client import HOST
from service.bench.errors import BenchError
from service.settings import Settings

# Not taken from the user's environment: they would ask for keys, take ports, or touch an archive in use.
_ITS_OWN = frozenset(
    {
        *("bundles", "host", "port", "management_host", "management_port", "open_health"),
        *("keys", "allow_anonymous", "state", "idempotent_photos", "log_format", "drain_seconds"),
        *("archive", "archive_photos", "archive_free_bytes", "archive_orphan_seconds"),
        *("database_url", "photo_store", "retention_days", "retention_rows"),
    }
)
_SECONDS_TO_START = 600.0
_SECONDS_TO_END = 10.0
_LISTENING = re.compile(rf"Listening on http://{re.escape(HOST)}:(\d+)")
_LAST_CHARACTERS = 2000


@dataclass(frozen=True)
class OwnService:
    """The running service: its port, the execution provider that it runs on, and whether it still runs."""

    port: int
    provider: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """
        Raises:
            BenchError: with the end of its log, when the service has ended.
        """
        if self.process.poll() is not None:
            raise BenchError(
                f"The service ended with exit code {self.process.returncode}. {_end_of(self.log)}",
                "Start it with `glint serve` to see all that it says.",
            )


def bench_settings(bundle: Path, device: Device | None, deadline_ms: int | None) -> Settings:
    """Settings for a measurement: as the user's environment has them, but for an archive, keys and ports.

    Args:
        bundle: which is measured.
        device: where it is to run; None for the environment's. TensorRT is left out where it is `cpu`.
        deadline_ms: of each photo; None for the environment's. The service takes it, however long it is.

    Raises:
        SettingsError: when one of them, or of the environment's, cannot be used.
    """
    users = Settings.of(device=device, tensorrt=False if device == "cpu" else None)
    # The service runs in a folder of its own.
    engines = users.cuda().tensorrt
    deadline = users.deadline_ms if deadline_ms is None else deadline_ms
    longest = max(users.max_deadline_ms, deadline)
    values: dict[str, Any] = {
        name: field.get_default(call_default_factory=True) if name in _ITS_OWN else getattr(users, name)
        for name, field in Settings.model_fields.items()
    }
    values |= {"bundles": bundle.resolve(), "host": HOST, "port": 0}
    values |= {"archive": "none", "drain_seconds": 1.0, "log_format": "json"}
    values |= {"tensorrt_cache": engines.resolve() if engines else None}
    # The last would else be refused as too short for the deadline, though there is no archive.
    values |= {"deadline_ms": deadline, "max_deadline_ms": longest, "archive_orphan_seconds": longest}
    return Settings.exactly(values)


def users_settings(settings: Settings) -> dict[str, Any]:
    """Those of the settings that are as the user's environment has them, as plain JSON values."""
    return settings.model_dump(mode="json", exclude=set(_ITS_OWN))


@contextmanager
def own_service(settings: Settings) -> Iterator[OwnService]:
    """Run a service until the block ends, however it ends; nothing of it is left behind.

    Raises:
        BenchError: when it does not become ready.
    """
    with tempfile.TemporaryDirectory(prefix="glint-bench-") as name:
        folder = Path(name)
        with open(folder / "log", "wb") as log:
            process = _start(settings, folder, log.fileno())
        try:
            yield _wait_until_ready(process, folder / "log")
        finally:
            _end(process)


def _start(settings: Settings, folder: Path, log: int) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GLINT_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "service.bench.child"],
        # Python looks for modules here first; the user's folder may hold others of these names.
        cwd=folder,
        env=environment,
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        # Ctrl-C in the terminal is for the command alone, which then stops the service in order.
        start_new_session=True,
    )
    if process.stdin is not None:
        with suppress(BrokenPipeError):  # It has ended already; why is in its log.
            process.stdin.write(settings.model_dump_json().encode() + b"\n")
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> OwnService:
    last = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < last:
        found = _LISTENING.search(log.read_text(errors="replace"))
        service = OwnService(int(found[1]) if found else 0, "", process, log)
        service.check()
        if found and (provider := _provider(service.port)):
            return replace(service, provider=provider)
        time.sleep(0.05)
    raise BenchError(
        f"The service was not ready after {_SECONDS_TO_START:g} s. {_end_of(log)}",
        "Start it with `glint serve` and look at /readyz.",
    )


def _provider(port: int) -> str:
    """The execution provider of a service that is ready; empty as long as it is not.

    Raises:
        BenchError: when it will not be.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=_SECONDS_TO_END)
    try:
        connection.request("GET", "/readyz")
        readiness = json.loads(connection.getresponse().read())
    except OSError:
        return ""
    finally:
        connection.close()
    parts = readiness["parts"].values()
    if any(part["state"] == "failed" for part in parts):
        reasons = " ".join(readiness["reasons"])
        raise BenchError(f"The service is not ready: {reasons}", "Check the bundle with `glint verify`.")
    return "".join(part["provider"] for part in parts) if readiness["ready"] else ""


def _end_of(log: Path) -> str:
    said = log.read_text(errors="replace").strip()[-_LAST_CHARACTERS:]
    return f"The last that it said:\n{said}" if said else "It said nothing."
