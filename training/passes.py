"""Photos through the trunk, a few at a time: PaDiM's fits take them in, and what they made judges them."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.networks.resnet import Trunk
from training.progress import track

_BATCH = 8


class Fit(Protocol):
    """What learns from good photos, such as `PadimFit`."""

    def add(self, layers: Sequence[Tensor]) -> None:
        """Take in one batch of good photos, as layers of the trunk."""


@torch.no_grad()
def layers_of(
    trunk: Trunk, images: npt.NDArray[np.uint8], device: str, title: str | None = None
) -> Iterator[Sequence[Tensor]]:
    """Give the trunk's layers of images, uint8 [N, H, W, 3] RGB, in batches; a `title` is for progress."""
    trunk.to(device)
    batches = torch.split(torch.from_numpy(images), _BATCH)
    for batch in track(batches, title or "", enabled=title is not None):
        yield trunk(batch.to(device))


@torch.no_grad()
def take_in(
    trunk: Trunk, good: npt.NDArray[np.uint8], fits: Sequence[Fit], device: str, *, progress: bool
) -> None:
    """Let every fit learn from photos of good parts, uint8 [N, H, W, 3] RGB, in one pass."""
    for layers in layers_of(trunk, good, device, "Fitting PaDiM" if progress else None):
        for fit in fits:
            fit.add(layers)
