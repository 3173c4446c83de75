"""Builds the service's image from nothing and runs it as compose.yaml does, with no container engine at hand.

`debootstrap` makes the base and `buildah` builds on it. To run it, Linux namespaces stand in for the engine:
the image's own user, environment and command, a process 1 of its own, a read-only root, no capability.
"""

import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.service.live import Live, free_port, wait_until_ready

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = ("buildah", "debootstrap", "unshare")
BASE = "localhost/debian-base"
ENTER = """
set -eu
root=$1 bundles=$2 volumes=$3
shift 3
mount --bind "$root" "$root"
mount --bind "$bundles" "$root/bundles"
mount -o remount,bind,ro "$root/bundles"
for volume in archive state; do
    mount --bind "$volumes/$volume" "$root/$volume"
done
mount -t proc proc "$root/proc"
mount -t tmpfs -o size=1m,mode=755 dev "$root/dev"
for device in null zero urandom; do
    : > "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t tmpfs -o size=64m,mode=1777,noexec,nosuid,nodev tmp "$root/tmp"
mount -o remount,bind,ro "$root"
exec chroot "$root" "$@"
"""


def missing() -> str:
    """Why images can be neither built nor run here; empty if they can."""
    if os.geteuid() != 0:
        return "building a base with debootstrap takes root"
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


@dataclass(frozen=True)
class Builder:
    """buildah with a storage of its own, below `folder`, so that it leaves the machine's images alone."""

    folder: Path

    def buildah(self, *arguments: str | Path) -> str:
        """Run buildah; what it prints, stripped."""
        places = ("--root", self.folder / "storage", "--runroot", self.folder / "run")
        return run("buildah", *places, *arguments)

    def make_base(self, suite: str = "bookworm") -> None:
        """Make the base: a minimal Debian, less what slim images leave out too."""
        root = self.folder / "debian"
        run("debootstrap", "--variant=minbase", suite, root)
        for left_out in ("var/cache/apt/archives", "var/lib/apt/lists", *_DOCUMENTATION):
            shutil.rmtree(root / left_out, ignore_errors=True)
        recipe = self.folder / "Dockerfile.base"
        recipe.write_text("FROM scratch\nCOPY . /\n")
        self.buildah("bud", "--isolation", "chroot", "--file", recipe, "--tag", BASE, root)
        shutil.rmtree(root)

    def build(self, target: str) -> str:
        """Build a target of docker/Dockerfile; the image's name."""
        name = f"localhost/glint:{target}"
        arguments = [
            *("--isolation", "chroot", "--network", "host", "--format", "docker"),
            *("--build-arg", f"BASE={BASE}", *self._trust_of_this_machine()),
            *("--file", REPOSITORY / "docker" / "Dockerfile", "--target", target, "--tag", name),
        ]
        self.buildah("bud", *arguments, REPOSITORY)
        return name

    def inspect(self, image: str) -> dict[str, Any]:
        """What buildah knows of an image: `Docker` holds its configuration, `Manifest` its layers."""
        return json.loads(self.buildah("inspect", "--type", "image", image))

    @contextmanager
    def unpacked(self, image: str) -> Iterator["Box"]:
        """A container's root file system for as long as the block lasts."""
        container = self.buildah("from", image)
        try:
            root = Path(self.buildah("mount", container))
            yield Box(root, self.inspect(image)["Docker"]["config"])
        finally:
            self.buildah("rm", container)

    def clear(self) -> None:
        """Remove every image."""
        self.buildah("rmi", "--all", "--force")
        shutil.rmtree(self.folder)

    def _trust_of_this_machine(self) -> list[str]:
        # The package index may stand behind a proxy that only this machine knows to trust.
        authorities = ssl.get_default_verify_paths().cafile
        if authorities is None:
            return []
        inside = "/usr/local/share/ca-certificates/build.crt"
        (self.folder / "pip.conf").write_text(f"[global]\ncert = {inside}\n")
        (self.folder / "uv.toml").write_text("system-certs = true\n")
        mounts = {
            authorities: inside,
            str(self.folder / "pip.conf"): "/etc/pip.conf",
            str(self.folder / "uv.toml"): "/etc/uv/uv.toml",
        }
        return [word for host, path in mounts.items() for word in ("--volume", f"{host}:{path}:ro")]


_DOCUMENTATION = ("usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man")


@dataclass(frozen=True)
class Box:
    """A container that can be started: its root file system and the image's configuration."""

    root: Path
    config: dict[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        """The image's environment variables."""
        return dict(setting.split("=", 1) for setting in self.config["Env"])

    def run(self, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the container as the image's user; it may fail."""
        uid, gid = self.config["User"].split(":")
        arguments = ["chroot", f"--userspec={uid}:{gid}", str(self.root), *command]
        environment = {**self.environment, **settings}
        return subprocess.run(
            arguments, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    @contextmanager
    def serving(self, bundles: Path, volumes: Path) -> Iterator[Live]:
        """Start the image's command on a free port of the loopback address, and wait until it is ready.

        `volumes` keeps what is written to /archive and /state from one start to the next.
        `Live.process` is process 1 of the container, as `docker stop` sees it, by way of `unshare`.
        """
        uid, gid = self.config["User"].split(":")
        for name in ("archive", "state"):
            (volumes / name).mkdir(exist_ok=True)
            os.chown(volumes / name, int(uid), int(gid))
        port = free_port()
        limits = ["--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
        arguments = [
            *("unshare", "--mount", "--pid", "--ipc", "--uts", "--fork"),
            *("sh", "-c", ENTER, "enter", str(self.root), str(bundles), str(volumes)),
            *("setpriv", f"--reuid={uid}", f"--regid={gid}", *limits),
            *(self.config["Entrypoint"] + self.config["Cmd"]),
        ]
        settings = {
            "GLINT_HOST": "127.0.0.1",
            "GLINT_PORT": str(port),
            "GLINT_MANAGEMENT_HOST": "127.0.0.1",
            "GLINT_MANAGEMENT_PORT": str(free_port()),
            "GLINT_THREADS": "1",
            "GLINT_ARCHIVE_FREE_BYTES": "0",  # the machine of the test may have little space
        }
        with (
            tempfile.NamedTemporaryFile(prefix="glint-", suffix=".log") as log,
            subprocess.Popen(
                arguments, env={**self.environment, **settings}, stdout=log, stderr=subprocess.STDOUT
            ) as process,
        ):
            live = Live(process, port, Path(log.name))
            try:
                wait_until_ready(live)
                yield live
            finally:
                # Its process 1 changed its user, and with that forgot to end when `unshare` does.
                if process.poll() is None:
                    os.kill(first_process(live), signal.SIGKILL)


def first_process(live: Live) -> int:
    """Number, on this machine, of the container's process 1."""
    return int(Path(f"/proc/{live.process.pid}/task/{live.process.pid}/children").read_text())


def run(*command: str | Path) -> str:
    """Run a command that must succeed; what it prints, stripped."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout.strip()
