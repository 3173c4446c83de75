"""The graphs that are exported: the joint inspector, and each opinion alone."""

import torch
from torch import Tensor, nn

from models.networks.resnet import Head, Trunk


class ClassifierGraph(nn.Module):
    """uint8 image [N, H, W, 3] RGB to probabilities [N, C], the clean class first."""

    def __init__(self, trunk: Trunk, head: Head) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head

    def forward(self, image: Tensor) -> Tensor:
        return torch.softmax(self.head(self.trunk(image)), dim=1)


class PadimGraph(nn.Module):
    """uint8 image [N, H, W, 3] RGB to anomaly map [N, h, w] and anomaly score [N]."""

    def __init__(self, trunk: Trunk, padim: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.padim = padim

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        anomaly_map, anomaly_score = self.padim(self.trunk(image))
        return anomaly_map, anomaly_score


class JointGraph(nn.Module):
    """One pass, two opinions: uint8 image [N, H, W, 3] RGB to probabilities, anomaly map and anomaly score.

    Without a head (no defect classes) the only class is `clean`, with probability 1.
    """

    def __init__(self, trunk: Trunk, head: Head | None, padim: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head
        self.padim = padim

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        layers = self.trunk(image)
        anomaly_map, anomaly_score = self.padim(layers)
        if self.head is None:
            probabilities = torch.ones_like(anomaly_score)[:, None]
        else:
            probabilities = torch.softmax(self.head(layers), dim=1)
        return probabilities, anomaly_map, anomaly_score
