"""The photos that are posted: the user's, or the bundle's golden ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.bundle import Bundle
from models.errors import UsageError
from models.golden import golden_photos
from service.console import expand

MOST_PHOTOS = 64
MOST_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True)
class Album:
    """Encoded photos, and in words what they are."""

    photos: tuple[bytes, ...]
    description: str


def golden_album(bundle: Bundle) -> Album:
    """The golden photos of a bundle.

    Raises:
        UsageError: when there are none.
        BundleError: when they cannot be read.
    """
    photos = tuple(golden.data for golden in golden_photos(bundle))
    if not photos:
        raise UsageError(f"{bundle.path} has no golden photos.", "Name a folder of photos with --photos.")
    return Album(photos, _describe("golden photos", photos))


def read_album(path: Path) -> Album:
    """Photos of a folder, evenly chosen where there are more than `MOST_PHOTOS`.

    Raises:
        UsageError: when there are none.
        OSError: when one cannot be read.
    """
    files = expand([path])
    if files == [path] and not path.is_file():
        raise UsageError(f"{path} holds no photos.", "Name a folder of photos with --photos.")
    chosen = [files[index * len(files) // MOST_PHOTOS] for index in range(MOST_PHOTOS)]
    photos: list[bytes] = []
    for file in chosen if len(files) > MOST_PHOTOS else files:
        photos.append(file.read_bytes())
        if sum(map(len, photos)) > MOST_BYTES:
            break
    return Album(tuple(photos), _describe(f"photos of {path.name or path}", photos))


def _describe(what: str, photos: Sequence[bytes]) -> str:
    mean = sum(map(len, photos)) / len(photos)
    return f"{len(photos)} {what}, {mean / 1024:,.0f} KiB on average"
