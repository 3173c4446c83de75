"""Whether photos can be inspected and answered: what `/readyz` says and `glint_ready` counts."""

from typing import TYPE_CHECKING

from service.access.ring import KeyRing
from service.registry import Registry
from service.status import Readiness

if TYPE_CHECKING:
    from service.archive.archive import Archive


def readiness_of(registry: Registry, archive: "Archive | None", keys: KeyRing | None) -> Readiness:
    """The registry's readiness, less what keys and archive have against it."""
    readiness = registry.readiness()
    if keys is not None and keys.problem:
        readiness = readiness.but(keys.problem)
    if archive is not None and archive.failure:
        readiness = readiness.but(f"The archive cannot be used: {archive.failure}.")
    return readiness
