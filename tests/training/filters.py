"""A trunk for tests that costs nothing."""

import torch
from torch import Tensor, nn

from models.networks.resnet import LAYER_CHANNELS, LAYER_STRIDES


class Filters(nn.Module):
    """Layers of random filters on single patches, seeded: a small trunk whose answers grow with contrast."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.filters = [
            torch.randn(channels, 3, stride, stride, generator=generator) / stride
            for channels, stride in zip(LAYER_CHANNELS, LAYER_STRIDES, strict=True)
        ]
        self.photos = 0

    def forward(self, images: Tensor) -> list[Tensor]:
        self.photos += len(images)
        x = images.permute(0, 3, 1, 2) / 64.0
        return [nn.functional.conv2d(x, f, stride=f.shape[-1]).relu() for f in self.filters]
