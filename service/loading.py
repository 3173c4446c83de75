"""Loading one bundle: opened, warmed up, and proved on its golden photos before it gets any photo."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import BundleError
from service.canary import Canary
from service.priority import giving_way
from service.settings import Settings

if TYPE_CHECKING:
    from models.inspector import Inspector
    from service.batching import Batcher

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedPart:
    """A part that can be inspected: its inspector, the worker of its device, and its canary."""

    inspector: "Inspector"
    batcher: "Batcher"
    canary: Canary


def load_part(path: Path, settings: Settings, batcher_of: Callable[[str], "Batcher"]) -> LoadedPart:
    """Load the bundle at `path`.

    Args:
        batcher_of: gives the worker of an execution provider.

    Raises:
        BundleError: when it cannot be trusted, or gives other results than when it was made.
        DeviceError: when the device is `cuda` and the session does not run there, or a GPU cannot run one of
            the batch sizes.
        PrecisionError: when a precision was asked for that the bundle has not.
    """
    import cv2

    from models.inspector import Inspector
    from service.warming import warm_up

    # The pool has a photo for each core; OpenCV's own threads would only wait for the same cores.
    cv2.setNumThreads(1)
    # The session's own threads are started here.
    inspector = giving_way(
        lambda: Inspector.load(
            path, settings.device, settings.threads, cuda=settings.cuda(), precision=settings.precision
        )
    )
    batcher = batcher_of(inspector.provider)
    for size in batcher.buckets:
        warm_up(inspector, size, batcher)
    if inspector.engines:
        inspector.engines.check()  # TensorRT builds anew, and says nothing, what it cannot read
    canary = Canary(inspector, batcher, settings.stall_seconds)
    if differences := canary.check_all():
        raise BundleError(
            f"{path}: golden photos differ: {'; '.join(differences)}.",
            "Check the bundle with `glint verify`, or train it again.",
        )
    return LoadedPart(inspector, batcher, canary)
