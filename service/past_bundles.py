"""Finds the bundle that judged a photo, whether it still serves or not."""

import re
from pathlib import Path

from models.bundle import Bundle
from models.errors import BundleError
from models.manifest import NAME_PATTERN
from models.preprocessing import Preprocessing
from service.errors import ServiceError
from service.registry import Registry


def bundle_of(registry: Registry, part: str, version: str) -> Bundle | None:
    """This version of a part's bundle; None if it is not there any more, or cannot be read."""
    loaded = registry.loaded.get(part)
    if loaded is None:
        return _listed(registry, part, version)
    serving = loaded.inspector.bundle
    return serving if serving.manifest.version == version else _beside(serving.path, part, version)


def preprocessing_of(registry: Registry, part: str) -> Preprocessing | None:
    """How photos of a part lie in the model's input now; None if the part is not served."""
    loaded = registry.loaded.get(part)
    return loaded.inspector.manifest.preprocessing if loaded else None


def _beside(other: Path, part: str, version: str) -> Bundle | None:
    """By the name of its folder, as `glint train` gives it: to open every bundle takes longer."""
    if not re.fullmatch(NAME_PATTERN, version):
        return None
    try:
        found = Bundle.open(other.parent / version, verify=False)
    except BundleError:
        return None
    return found if (found.manifest.part, found.manifest.version) == (part, version) else None


def _listed(registry: Registry, part: str, version: str) -> Bundle | None:
    """Of a part that is not served now."""
    try:
        path = next((each.path for each in registry.versions(part) if each.name == version), None)
        return Bundle.open(path, verify=False) if path else None
    except (ServiceError, BundleError):
        return None
