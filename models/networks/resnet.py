"""The ResNet50 in two pieces: the trunk that PaDiM and the classifier share, and the classifier's head.

He et al., Deep Residual Learning for Image Recognition, CVPR 2016; weights and names as in torchvision.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torchvision.models import resnet50

# Mean and standard deviation of ImageNet's RGB values in 0..1, as torchvision's weights expect.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

LAYER_CHANNELS = (256, 512, 1024)
LAYER_STRIDES = (4, 8, 16)


class Normalise(nn.Module):
    """uint8 [N, H, W, 3] RGB to float32 [N, 3, H, W] with ImageNet's mean and standard deviation."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", 255.0 * torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("scale", 1.0 / (255.0 * torch.tensor(STD).view(1, 3, 1, 1)))

    def forward(self, image: Tensor) -> Tensor:
        return (image.permute(0, 3, 1, 2).to(self.scale.dtype) - self.shift) * self.scale


class Trunk(nn.Module):
    """Normalisation, stem and layer1-3 of ResNet50.

    Takes uint8 [N, H, W, 3] RGB; gives layer1 [N, 256, H/4, W/4], layer2 [N, 512, H/8, W/8] and
    layer3 [N, 1024, H/16, W/16].
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.normalise = Normalise()
        parts = [(name, network.get_submodule(name)) for name in ("conv1", "bn1", "relu", "maxpool")]
        self.stem = nn.Sequential(OrderedDict(parts))
        self.layer1 = network.get_submodule("layer1")
        self.layer2 = network.get_submodule("layer2")
        self.layer3 = network.get_submodule("layer3")

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        layer1 = self.layer1(self.stem(self.normalise(image)))
        layer2 = self.layer2(layer1)
        return layer1, layer2, self.layer3(layer2)


class Head(nn.Module):
    """layer4, pooling and the linear read-out: layer3 [N, 1024, h, w] to logits [N, C]."""

    def __init__(self, network: nn.Module, n_classes: int) -> None:
        super().__init__()
        self.layer4 = network.get_submodule("layer4")
        self.fc = nn.Linear(2048, n_classes)

    def pool(self, layer3: Tensor) -> Tensor:
        """layer3 [N, 1024, h, w] to pooled features [N, 2048]."""
        features: Tensor = self.layer4(layer3)
        return features.mean(dim=(2, 3))

    def forward(self, layer3: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.pool(layer3))
        return logits


def build_resnet50(n_classes: int, state: dict[str, Tensor] | None = None) -> tuple[Trunk, Head]:
    """Make trunk and head; `state` holds torchvision's keys, without `fc.*`. Random weights if None.

    A state without any `layer4.*` leaves layer4 random.
    """
    network = resnet50(weights=None)
    if state is not None:
        given = {name.split(".")[0] for name in state}
        fresh = {n: v for n, v in network.state_dict().items() if n.split(".")[0] in {"fc", "layer4"} - given}
        network.load_state_dict({**fresh, **state}, strict=True)
    return Trunk(network).eval(), Head(network, n_classes).eval()
