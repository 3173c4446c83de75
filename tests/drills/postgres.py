"""A real PostgreSQL server for as long as a test lasts, in a folder of its own."""

import glob
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.service.live import free_port

SECONDS = 30.0


@dataclass(frozen=True)
class Postgres:
    """A server on a port of the loopback address, with the database `glint`."""

    programs: Path
    data: Path
    port: int

    @property
    def url(self) -> str:
        """What GLINT_DATABASE_URL takes."""
        return f"postgresql+psycopg://glint@127.0.0.1:{self.port}/glint"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.data}"
        self._run("pg_ctl", "-D", self.data, "-w", "-o", options, "-l", self.data / "log", "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: `immediate` as a power failure would."""
        self._run("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    def create(self) -> None:
        """Make the cluster and the database."""
        self._run("initdb", "-D", self.data, "-U", "glint", "--auth=trust", "--encoding=UTF8")
        self.start()
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "glint", "glint")

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [*_as_other_user(), str(self.programs / program), *(str(word) for word in arguments)],
            # The server lives on and would hold a pipe open.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{program} failed; see {self.data / 'log'}"


def postgres_server() -> Iterator[Postgres]:
    """Make and start a server; skips the test where PostgreSQL is not installed."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin")) or _on_the_path()
    if not found:
        pytest.skip("PostgreSQL's server is not installed")
    if os.geteuid() == 0 and not _as_other_user():
        pytest.skip("PostgreSQL does not run as root, and there is no other user to run it as")
    # Not below pytest's folder, which only its owner may enter.
    data = Path("/tmp") / f"glint-postgres-{os.getpid()}-{time.monotonic_ns()}"  # noqa: S108
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        other = pwd.getpwnam(_OTHER_USER)
        os.chown(data, other.pw_uid, other.pw_gid)
    server = Postgres(Path(found[-1]), data, free_port())
    try:
        server.create()
        yield server
    finally:
        with suppress(AssertionError):
            server.stop()
        shutil.rmtree(data)


_OTHER_USER = "nobody"


def _as_other_user() -> list[str]:
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        return []
    other = pwd.getpwnam(_OTHER_USER)
    return ["setpriv", f"--reuid={other.pw_uid}", f"--regid={other.pw_gid}", "--clear-groups"]


def _on_the_path() -> list[str]:
    program = shutil.which("pg_ctl")
    return [str(Path(program).resolve().parent)] if program else []
