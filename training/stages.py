"""Cuts the classifier in two: what stays frozen and is run once, and what is trained on its activations."""

import torch
from torch import Tensor, nn

from models.networks.resnet import LAYER_CHANNELS, LAYER_STRIDES, Head, Trunk
from training.config import Strategy

POOLED = 2 * sum(LAYER_CHANNELS[1:])


class Stage(nn.Module):
    """The trained part: what the frozen part gives to features, and features to logits.

    On the features themselves, for the strategy `head`.
    """

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.fc = head.fc

    def features(self, given: Tensor) -> Tensor:
        """What the linear read-out sees [N, D]."""
        return given

    def forward(self, given: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.features(given))
        return logits


class _OnLayer3(Stage):
    """On the trunk's pooled features and layer3, one row a photo: the strategy `layer4`."""

    def __init__(self, head: Head, grid: tuple[int, int]) -> None:
        super().__init__(head)
        self.head = head
        self.grid = grid

    def features(self, given: Tensor) -> Tensor:
        pooled, layer3 = given[:, :POOLED], given[:, POOLED:]
        maps = layer3.reshape(len(given), LAYER_CHANNELS[2], *self.grid)
        return self.head.join_layer4(pooled, maps.contiguous(memory_format=torch.channels_last))


class _OnImages(Stage):
    """On the images: the strategies under which nothing is frozen."""

    def __init__(self, trunk: Trunk, head: Head) -> None:
        super().__init__(head)
        self.trunk = trunk
        self.head = head

    def features(self, given: Tensor) -> Tensor:
        return self.head.features(self.trunk(given))


class _ToFeatures(nn.Module):
    """Images to all that the read-out sees."""

    def __init__(self, trunk: Trunk, head: Head) -> None:
        super().__init__()
        self.stage = _OnImages(trunk, head)

    def forward(self, image: Tensor) -> Tensor:
        return self.stage.features(image)


class _ToLayer3(nn.Module):
    """Images to the rows that `_OnLayer3` takes."""

    def __init__(self, trunk: Trunk, head: Head) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head

    def forward(self, image: Tensor) -> Tensor:
        layers = self.trunk(image)
        return torch.cat([self.head.pool_trunk(layers), layers[2].flatten(1)], dim=1)


def split_network(
    trunk: Trunk, head: Head, strategy: Strategy, size: tuple[int, int]
) -> tuple[nn.Module | None, Stage]:
    """The part to run once (None: nothing is frozen) and the part to train.

    Args:
        size: of the images, height and width, in multiples of 16.
    """
    if strategy == "head" or (strategy == "layer4" and head.layer4 is None):
        return _ToFeatures(trunk, head), Stage(head)
    if strategy == "layer4":
        grid = (size[0] // LAYER_STRIDES[2], size[1] // LAYER_STRIDES[2])
        return _ToLayer3(trunk, head), _OnLayer3(head, grid)
    return None, _OnImages(trunk, head)
