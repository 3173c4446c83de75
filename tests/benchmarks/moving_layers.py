"""What the trunk makes of the photos of `moving_parts`, kept once for all methods."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.networks.resnet import Trunk

_BATCH = 8

Layers = list[Tensor]


@dataclass(frozen=True)
class Seen:
    """What the trunk made of the photos: layers as it gives them, layer1 pooled to layer2's grid, float16."""

    learnt: Layers
    good: Layers
    defective: Layers

    @staticmethod
    def batches(layers: Layers) -> Iterator[Layers]:
        """Float32 and as the trunk gives them: pooling layer1 once more gives what it was pooled to."""
        for part in zip(*(torch.split(layer, _BATCH) for layer in layers), strict=True):
            first, *rest = (layer.float() for layer in part)
            yield [F.interpolate(first, scale_factor=2.0, mode="nearest"), *rest]


def look(trunk: Trunk, images: np.ndarray) -> Layers:
    """Layers of uint8 images [N, H, W, 3]."""
    found: list[list[Tensor]] = [[], [], []]
    for batch in torch.split(torch.from_numpy(images), _BATCH):
        layer1, layer2, layer3 = trunk(batch)
        for kept, layer in zip(found, (F.avg_pool2d(layer1, 2), layer2, layer3), strict=True):
            kept.append(layer.half())
    return [torch.cat(kept) for kept in found]
