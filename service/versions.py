"""Which bundles of a part there are, and which one was chosen to serve, across restarts."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from models.bundle import MANIFEST, Bundle, FoundBundles
from models.errors import BundleError
from models.files import write_whole
from models.manifest import Manifest
from service.errors import SettingsError

ACTIVE = "active.json"
SHADOWS = "shadow.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Version:
    """A bundle on disk. `problem` says why it cannot be opened; then only its folder is known."""

    name: str
    path: Path
    manifest: Manifest | None = None
    problem: str = ""

    @property
    def created(self) -> datetime | None:
        """When it was trained; None if it cannot be opened."""
        return self.manifest.created if self.manifest else None


def versions_of(part: str, newest: Path) -> list[Version]:
    """The bundles of a part, the newest first.

    Args:
        part: its name.
        newest: one of its bundles, as `find_bundles` gives it; the others lie beside it.
    """
    found = []
    beside = sorted(newest.parent.glob(f"*/{MANIFEST}"), reverse=True)
    for path in [manifest.parent for manifest in beside if not manifest.parent.name.startswith(".")]:
        try:
            manifest = Bundle.open(path, verify=False).manifest
        except BundleError as error:
            found.append(Version(path.name, path, problem=str(error)))
            continue
        if manifest.part == part:
            found.append(Version(manifest.version, path, manifest))
    return found


def parts_to_serve(
    found: FoundBundles, chosen: Mapping[str, str]
) -> tuple[dict[str, Path], dict[str, BundleError]]:
    """A bundle of each part that can be served, its newest, and why the other parts cannot be.

    An unreadable newest bundle is no reason to give up another one that was chosen by hand.
    """
    pinned = {part: path for part, path in found.unreadable.items() if part in chosen}
    for part in pinned:
        log.warning("The newest bundle of %s cannot be used: %s", part, found.failures[part])
    failures = {part: failure for part, failure in found.failures.items() if part not in pinned}
    return {**found.paths, **pinned}, failures


def bundle_to_serve(part: str, newest: Path, chosen: str | None) -> Path:
    """Which bundle of a part is served: the newest, unless another was chosen.

    Raises:
        BundleError: when the one that was chosen is gone.
    """
    if chosen is None:
        return newest
    for version in versions_of(part, newest):
        if version.name == chosen:
            return version.path
    raise BundleError(
        f"The bundle {chosen} of {part}, which was activated, is not there any more.",
        f"Put it back, or activate another: POST /parts/{part}/activate.",
    )


class Choices:
    """Versions that were chosen by hand, by part, in a file of the state folder.

    Without a folder nothing is kept: the next start knows of no choice.
    """

    def __init__(self, folder: Path | None, name: str = ACTIVE) -> None:
        """
        Args:
            folder: the state folder.
            name: of the file: `active.json` says what serves, `shadow.json` what runs in the shadow.
        """
        self._file = folder / name if folder else None

    @property
    def kept(self) -> bool:
        """Whether a choice outlives the process."""
        return self._file is not None

    def read(self) -> dict[str, str]:
        """The chosen version of each part that has one.

        Raises:
            SettingsError: when the file cannot be read: it is not known then what was chosen.
        """
        if self._file is None:
            return {}
        try:
            chosen = json.loads(self._file.read_bytes())
            if not isinstance(chosen, dict) or not all(isinstance(v, str) for v in chosen.values()):
                raise ValueError("it is not a table of part and version")
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise SettingsError(
                f"{self._file} cannot be read: {error}.",
                "Restore it, or remove it: then nothing is chosen, and of each part the newest serves.",
            ) from error
        return chosen

    def choose(self, part: str, version: str | None) -> None:
        """Keep a choice, None for none; the file is replaced whole or not at all.

        Raises:
            OSError: when it cannot be written; then the old choice stands.
        """
        if self._file is None:
            return
        chosen = {name: each for name, each in self.read().items() if name != part}
        if version is not None:
            chosen[part] = version
        text = json.dumps(chosen, indent=2, sort_keys=True) + "\n"
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._file, text.encode())
