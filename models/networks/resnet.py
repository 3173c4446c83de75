"""The ResNet50 in two pieces: the trunk that PaDiM and the classifier share, and the classifier's head.

He et al., Deep Residual Learning for Image Recognition, CVPR 2016; weights and names as in torchvision.
"""

from collections import OrderedDict
from collections.abc import Sequence

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
    """The classifier on top of the trunk: pooled features of layer2-4 and a linear read-out to C logits.

    A scratch is small: the mean of layer4 alone dilutes it. So the read-out also sees the mean and the
    maximum of layer2 and of layer3. Without weights for layer4 there is none, and it sees those alone.
    """

    def __init__(self, network: nn.Module, n_classes: int, *, with_layer4: bool = True) -> None:
        super().__init__()
        self.layer4 = network.get_submodule("layer4") if with_layer4 else None
        self.fc = nn.Linear(2 * sum(LAYER_CHANNELS[1:]) + (2048 if with_layer4 else 0), n_classes)

    def pool_trunk(self, layers: Sequence[Tensor]) -> Tensor:
        """layer1-3, as the trunk gives them, to the pooled features of layer2 and layer3 [N, 3072]."""
        return torch.cat([pool(layer) for layer in layers[1:] for pool in (_mean, _maximum)], dim=1)

    def features(self, layers: Sequence[Tensor]) -> Tensor:
        """What the linear read-out sees [N, D] of layer1-3, as the trunk gives them."""
        return self.join_layer4(self.pool_trunk(layers), layers[2])

    def join_layer4(self, pooled: Tensor, layer3: Tensor) -> Tensor:
        """Pooled features [N, 3072] and, where there is a layer4, its mean over layer3 [N, 1024, h, w]."""
        if self.layer4 is None:
            return pooled
        return torch.cat([pooled, _mean(self.layer4(layer3))], dim=1)

    def forward(self, layers: Sequence[Tensor]) -> Tensor:
        logits: Tensor = self.fc(self.features(layers))
        return logits


def _mean(layer: Tensor) -> Tensor:
    return layer.mean(dim=(2, 3))


def _maximum(layer: Tensor) -> Tensor:
    return layer.amax(dim=(2, 3))


def build_resnet50(n_classes: int, state: dict[str, Tensor] | None = None) -> tuple[Trunk, Head]:
    """Make trunk and head; `state` holds torchvision's keys, without `fc.*`. Random weights if None.

    A state without any `layer4.*` gives a head without layer4.
    """
    network = resnet50(weights=None)
    with_layer4 = state is None or any(name.startswith("layer4.") for name in state)
    if state is not None:
        given = {name.split(".")[0] for name in state}
        fresh = {n: v for n, v in network.state_dict().items() if n.split(".")[0] in {"fc", "layer4"} - given}
        network.load_state_dict({**fresh, **state}, strict=True)
    return Trunk(network).eval(), Head(network, n_classes, with_layer4=with_layer4).eval()
