"""A real service: `glint serve` in a process of its own, on a free port of the loopback address."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SECONDS = 60.0
GLINT = "import sys; from models.cli import main; sys.argv[0] = 'glint'; main()"


@dataclass(frozen=True)
class Live:
    """A running service."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def connect(self) -> http.client.HTTPConnection:
        """A new connection to it."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of a GET."""
        connection = self.connect()
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def cpu_seconds(self) -> float:
        """CPU time of all its threads so far, user and system."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def terminate(self) -> None:
        """Ask it to end, as a supervisor does."""
        self.process.send_signal(signal.SIGTERM)


def command(bundles: Path, port: int, *options: str) -> list[str]:
    """The command line of a service that needs no GPU and few cores."""
    given = ["--bundles", str(bundles), "--device", "cpu", "--threads", "1", "--port", str(port), *options]
    return [sys.executable, "-c", GLINT, "serve", *given]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def serving(
    bundles: Path,
    *options: str,
    script: str | None = None,
    archive: Path | None = None,
    environment: Mapping[str, str] | None = None,
    ready: bool = True,
    port: int | None = None,
) -> Iterator[Live]:
    """Run the service until the block ends.

    Args:
        bundles, options: of `glint serve`.
        script: Python to run instead; its port, the bundles folder and the options are in `sys.argv`.
        archive: the archive's folder; without one, inspections are not kept.
        environment: variables on top of the test's own.
        ready: wait until /readyz answers 200.
        port: where to listen; a free one if not given.
    """
    port = port or free_port()
    arguments = command(bundles, port, *options)
    if script is not None:
        arguments = [sys.executable, "-c", script, str(port), str(bundles), *options]
    # A file, since a pipe that nobody empties would stop a service that says much.
    with tempfile.NamedTemporaryFile(prefix="glint-", suffix=".log") as log:
        process = subprocess.Popen(
            arguments,
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "GLINT_ARCHIVE": str(archive or "none"),
                **(environment or {}),
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        live = Live(process, port, Path(log.name))
        try:
            if ready:
                wait_until_ready(live)
            yield live
        finally:
            process.kill()
            process.wait()


def wait_until_ready(live: Live, *also: int) -> None:
    """Wait until /readyz answers 200, or one of `also`."""
    _wait_for(live, "/readyz", {200, *also})


def wait_until_answering(live: Live) -> None:
    """Wait until /healthz answers 200, which it does while bundles are being loaded."""
    _wait_for(live, "/healthz", {200})


def _wait_for(live: Live, path: str, statuses: set[int]) -> None:
    last = time.monotonic() + SECONDS
    while time.monotonic() < last:
        if live.process.poll() is not None:
            raise AssertionError(f"the service ended: {live.log.read_text()}")
        try:
            if live.get(path)[0] in statuses:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"the service was not ready in time: {live.log.read_text()}")
