"""Batch norm's statistics, taken from pictures at hand."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


@torch.no_grad()
def settle(module: nn.Module, forward: Callable[[Tensor], object], images: Tensor, batch: int = 16) -> None:
    """Replace the running statistics in `module` by the means over `images`, and leave it in evaluation mode.

    Args:
        module: whose batch norms are settled; other parts of the network keep theirs.
        forward: runs one batch of images through `module` and whatever comes before it.
        images: uint8 [N, H, W, 3], RGB.
        batch: images at a time.
    """
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        # None: the mean over all batches.
        norm.momentum = None
        norm.train()
    for part in torch.split(images, batch):
        forward(part)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
