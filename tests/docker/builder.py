"""Builds the service's image from nothing: `debootstrap` makes the base and `buildah` builds on it."""

import json
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.docker.box import Box

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = ("buildah", "debootstrap", "unshare")
BASE = "localhost/debian-base"


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

    def size(self, image: str) -> int:
        """Bytes of an image's layers, unpacked."""
        return sum(layer["size"] for layer in json.loads(self.inspect(image)["Manifest"])["layers"])

    @contextmanager
    def unpacked(self, image: str) -> Iterator[Box]:
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


def run(*command: str | Path) -> str:
    """Run a command that must succeed; what it prints, stripped."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout.strip()
