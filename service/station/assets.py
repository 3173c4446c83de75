"""Scripts, styles and pictures of the station, held in memory under an address that changes with them."""

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from service.access.rules import STATION

FOLDER = Path(__file__).parent / "static"
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


@dataclass(frozen=True)
class Asset:
    """One file."""

    data: bytes
    media_type: str


class Assets:
    """The files by name. `version` is a digest of all of them.

    It stands in the path and not in a query, so that scripts that import each other by relative paths find
    the ones of their own version.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {
            file.relative_to(folder).as_posix(): Asset(file.read_bytes(), _media_type(file))
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        }
        digest = hashlib.sha256()
        for name, asset in self._files.items():
            digest.update(f"{name}:{len(asset.data)}:".encode() + asset.data)
        self.version = digest.hexdigest()[:12]

    def find(self, name: str) -> Asset | None:
        """The file of this name."""
        return self._files.get(name)

    def path(self, name: str) -> str:
        """Where a page finds the file; raises KeyError if there is none."""
        if name not in self._files:
            raise KeyError(f"the station has no asset {name}")
        return f"{STATION}static/{self.version}/{name}"


def _media_type(file: Path) -> str:
    known = mimetypes.guess_type(file.name)[0]
    return _TYPES.get(file.suffix) or known or "application/octet-stream"
