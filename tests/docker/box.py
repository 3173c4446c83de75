"""Runs the service's image as compose.yaml does, with no container engine at hand.

Linux namespaces stand in for the engine: the image's own user, environment and command, a process 1 of its
own, a read-only root, no capability, and the mounts and variables of the compose file. Only the network is
the machine's, so that the service is told to listen on free ports of the loopback address.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.service.live import Live, free_port, wait_until_ready
from tests.tiny_bundle import make_tiny_bundle

COMPOSE = Path(__file__).resolve().parents[2] / "docker" / "compose.yaml"
# Arguments: the root; per mount its options, its source and its target; `--`; the command.
ENTER = """
set -eu
root=$1
shift
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
    if [ "$2" = tmpfs ]; then
        mount -t tmpfs -o "$1" tmpfs "$root$3"
    else
        mount --bind "$2" "$root$3"
        mount -o "remount,bind,$1" "$root$3"
    fi
    shift 3
done
shift
mount -t proc proc "$root/proc"
mount -t tmpfs -o size=1m,mode=755 dev "$root/dev"
for device in null zero urandom; do
    : > "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -o remount,bind,ro "$root"
exec chroot "$root" "$@"
"""


@dataclass(frozen=True)
class Running:
    """A service that runs in a container.

    Attributes:
        main: by the port that cameras use.
        management: by the port that takes no key.
        ready_after: seconds from the start to the first 200 of /readyz.
    """

    main: Live
    management: Live
    ready_after: float

    @property
    def first_process(self) -> int:
        """Number, on this machine, of the container's process 1."""
        return first_process(self.main.process)


@dataclass(frozen=True)
class Box:
    """A container that can be started: its root file system and the image's configuration."""

    root: Path
    config: dict[str, Any]

    @property
    def user(self) -> tuple[int, int]:
        """The image's user and group, by number."""
        uid, gid = self.config["User"].split(":")
        return int(uid), int(gid)

    @property
    def environment(self) -> dict[str, str]:
        """The image's environment variables."""
        return dict(setting.split("=", 1) for setting in self.config["Env"])

    def run(self, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the container as the image's user, with nothing mounted; it may fail."""
        uid, gid = self.user
        arguments = ["chroot", f"--userspec={uid}:{gid}", str(self.root), *command]
        return _finished(arguments, {**self.environment, **settings})

    def run_service(
        self, name: str, site: Path, *command: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a service of the compose file to its end, as `docker compose run` does; it may fail.

        `environment` stands in for the compose file's.
        """
        service = compose_service(name)
        arguments = self._start(service, site, list(command) or self.config["Cmd"])
        given = service["environment"] if environment is None else environment
        return _finished(arguments, {**self.environment, **given})

    @contextmanager
    def serving(self, site: Path) -> Iterator[Running]:
        """Start the compose file's service on free ports of the loopback address; wait until it is ready.

        `site` is as `make_site` made it; it keeps what is written from one start to the next.
        `Live.process` is process 1 of the container, as `docker stop` sees it, by way of `unshare`.
        """
        service = compose_service("glint")
        port, management = free_port(), free_port()
        settings = {
            **service["environment"],
            "GLINT_HOST": "127.0.0.1",
            "GLINT_PORT": str(port),
            "GLINT_MANAGEMENT_HOST": "127.0.0.1",
            "GLINT_MANAGEMENT_PORT": str(management),
            "GLINT_THREADS": "1",
            "GLINT_ARCHIVE_FREE_BYTES": "0",  # the machine of the test may have little space
        }
        begun = time.monotonic()
        with (
            tempfile.NamedTemporaryFile(prefix="glint-", suffix=".log") as log,
            subprocess.Popen(
                self._start(service, site, self.config["Cmd"]),
                env={**self.environment, **settings},
                stdout=log,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            by_management = Live(process, management, Path(log.name))
            try:
                wait_until_ready(by_management)
                ready_after = time.monotonic() - begun
                yield Running(Live(process, port, Path(log.name)), by_management, ready_after)
            finally:
                # Its process 1 changed its user, and with that forgot to end when `unshare` does.
                if process.poll() is None:
                    os.kill(first_process(process), signal.SIGKILL)

    def _start(self, service: dict[str, Any], site: Path, command: list[str]) -> list[str]:
        uid, gid = self.user
        limits = ["--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
        return [
            *("unshare", "--mount", "--pid", "--ipc", "--uts", "--fork"),
            *("sh", "-c", ENTER, "enter", str(self.root), *_mounts(service, site), "--"),
            *("setpriv", f"--reuid={uid}", f"--regid={gid}", *limits),
            *service.get("entrypoint", self.config["Entrypoint"]),
            *command,
        ]


def make_site(folder: Path, user: tuple[int, int]) -> Path:
    """What the image is given in the plant: a tiny bundle, and folders of its own for the rest."""
    make_tiny_bundle(folder / "bundles")
    for name in ("keys", "archive", "state"):
        (folder / name).mkdir(mode=0o700)
        os.chown(folder / name, *user)
    return folder


def compose_service(name: str) -> dict[str, Any]:
    """A service of compose.yaml, which must ask for all that the namespaces take away."""
    service: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    return service


def first_process(process: subprocess.Popen[bytes]) -> int:
    """Number, on this machine, of the first child of a process."""
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())


def _mounts(service: dict[str, Any], site: Path) -> list[str]:
    words: list[str] = []
    for volume in service["volumes"]:
        if isinstance(volume, str):
            target, mode = volume.rpartition(":")[2], "rw"
        else:
            target, mode = volume["target"], "ro" if volume.get("read_only") else "rw"
        words += [mode, str(site / target.removeprefix("/")), target]
    for tmpfs in service.get("tmpfs", []):
        target, _, options = tmpfs.partition(":")
        words += [options, "tmpfs", target]
    return words


def _finished(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60, check=False)
