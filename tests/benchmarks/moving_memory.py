"""A memory of patches, as PatchCore has it: what `moving_parts` sets PaDiM against."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from models.networks.padim import Smoothing
from models.networks.resnet import LAYER_CHANNELS
from tests.benchmarks.moving_layers import Layers, Seen

SEED = 0


def patches(layers: Layers) -> Tensor:
    """What PatchCore keeps of a batch: [N * h * w, 1536]."""
    _, layer2, layer3 = (F.avg_pool2d(layer, 3, 1, 1) for layer in layers)
    wide = F.interpolate(layer3, scale_factor=2.0, mode="bilinear")
    return torch.cat([layer2, wide], dim=1).permute(0, 2, 3, 1).flatten(0, 2)


def bank(seen: Seen) -> Tensor:
    """The patches of all photos learnt from, float32."""
    height, width = seen.learnt[1].shape[2:]
    whole = torch.empty(len(seen.learnt[0]) * height * width, sum(LAYER_CHANNELS[1:]))
    start = 0
    for layers in seen.batches(seen.learnt):
        part = patches(layers)
        whole[start : start + len(part)] = part
        start += len(part)
    return whole


def at_random(whole: Tensor, share: float) -> Tensor:
    """A seeded choice of patches."""
    generator = torch.Generator().manual_seed(SEED)
    return whole[torch.randperm(len(whole), generator=generator)[: int(share * len(whole))]]


def coreset(whole: Tensor, share: float) -> Tensor:
    """Greedily, the patch that is farthest from all chosen ones (Roth et al., 2022, algorithm 1)."""
    generator = torch.Generator().manual_seed(SEED)
    projected = whole @ (torch.randn(whole.shape[1], 128, generator=generator) / 128**0.5)
    chosen = [0]
    nearest = torch.full((len(whole),), float("inf"))
    length = projected.square().sum(dim=1)
    for _ in range(int(share * len(whole)) - 1):
        last = chosen[-1]
        nearest = torch.minimum(nearest, length + length[last] - 2 * (projected @ projected[last]))
        chosen.append(int(nearest.argmax()))
    return whole[chosen]


def nearest_of(memory: Tensor) -> Callable[[Layers], Tensor]:
    """The score [N] of a batch: the largest value of the smoothed map of distances to the memory."""
    smooth, half = Smoothing(1.0), 0.5 * memory.square().sum(dim=1)

    def score(layers: Layers) -> Tensor:
        x = patches(layers)
        squared = [p.square().sum(dim=1) + 2 * (half - p @ memory.T).amin(dim=1) for p in torch.split(x, 784)]
        maps = torch.cat(squared).clamp(min=0).sqrt().reshape(-1, *layers[1].shape[2:])
        return smooth(maps).amax(dim=(1, 2))

    return score


# Judging by a tenth of the patches takes minutes: it is done where a memory may lead.
LARGE, LARGE_FOR = 0.1, ("turned",)
MEMORIES = {
    "coreset 1 %": (coreset, 0.01),
    "random 1 %": (at_random, 0.01),
    "random 10 %": (at_random, LARGE),
}
