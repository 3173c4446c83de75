"""Makes the file that is shipped out of a trained trunk."""

import copy
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from models.networks.resnet import Trunk
from training.batch_norm import settle
from training.pretrain.pictures import Textures, render_example

# Pictures of the size at which inspectors run; they are none of those that were trained on.
_SIZE = 224
_PICTURES = 192
_CLASSES = 128
_SERIES = 1_000_003

# Of layer1, layer2 and layer3. What layer3 has learnt, the class of a texture, is what faults do not change;
# chosen on rendered parts.
DEVIATIONS = (1.0, 0.3, 0.1)


def write_trunk(
    trunk: Trunk, path: Path, *, seed: int, size: int = _SIZE, begun_with: str = "random weights"
) -> Path:
    """Write conv1..layer3 as fp16 safetensors with torchvision's names; returns `path`.

    Batch norm's statistics are taken anew on pictures of `size` pixels, and every channel of layer1-3 is
    brought to its layer's deviation on them. The file's metadata say what training had `begun_with`: the
    terms of those weights may hold for what came of them.
    """
    finished = copy.deepcopy(trunk).cpu().float().eval()
    pictures = settling_pictures(seed, size)
    settle(finished, finished, pictures)
    balance(finished, pictures)
    state = {
        name.removeprefix("stem."): (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in finished.state_dict().items()
        if not name.startswith("normalise.")
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(OrderedDict(sorted(state.items())), path, metadata={"begun_with": begun_with})
    return path


@torch.no_grad()
def balance(trunk: Trunk, pictures: Tensor, deviations: Sequence[float] = DEVIATIONS) -> None:
    """Scale the channels of each of layer1-3 to that layer's deviation over `pictures`, and nothing else.

    A rectified sum may be scaled channel by channel if its summands are, and what reads it is scaled back;
    features then change by their factor only. PaDiM mixes channels by chance: a small one is not heard.
    """
    blocks = [trunk.layer1, trunk.layer2, trunk.layer3]
    measured = _deviations(trunk, pictures)
    for index, (layer, found, wanted) in enumerate(zip(blocks, measured, deviations, strict=True)):
        # A channel that never changes stays as it is.
        factor = torch.where(found > 1e-3, wanted / found.clamp(min=1e-3), 1.0)
        bottlenecks = list(layer.children())
        for place, bottleneck in enumerate(bottlenecks):
            _scale_norm(bottleneck.get_submodule("bn3"), factor)
            if place == 0:
                downsample = bottleneck.get_submodule("downsample")
                _scale_norm(downsample.get_submodule("1"), factor)
            else:
                _scale_input(bottleneck.get_submodule("conv1"), factor)
        if index + 1 < len(blocks):
            following = next(iter(blocks[index + 1].children()))
            _scale_input(following.get_submodule("conv1"), factor)
            _scale_input(following.get_submodule("downsample").get_submodule("0"), factor)


def _deviations(trunk: Trunk, pictures: Tensor) -> list[Tensor]:
    sums: list[Tensor] = []
    squares: list[Tensor] = []
    count = [0, 0, 0]
    for part in torch.split(pictures, 32):
        for index, layer in enumerate(trunk(part)):
            values = layer.double().transpose(0, 1).flatten(1)
            if len(sums) <= index:
                sums.append(torch.zeros(len(values), dtype=torch.float64))
                squares.append(torch.zeros(len(values), dtype=torch.float64))
            sums[index] += values.sum(dim=1)
            squares[index] += values.square().sum(dim=1)
            count[index] += values.shape[1]
    return [
        (square / n - (total / n) ** 2).clamp(min=0).sqrt().float()
        for total, square, n in zip(sums, squares, count, strict=True)
    ]


def _scale_norm(norm: nn.Module, factor: Tensor) -> None:
    for name, parameter in norm.named_parameters():
        if name in ("weight", "bias"):
            parameter.mul_(factor)


def _scale_input(convolution: nn.Module, factor: Tensor) -> None:
    for name, parameter in convolution.named_parameters():
        if name == "weight":
            parameter.div_(factor[None, :, None, None])


def settling_pictures(seed: int, size: int) -> Tensor:
    """Pictures uint8 [192, size, size, 3] RGB from which a trunk's statistics are taken."""
    textures = Textures(_CLASSES, seed)
    rendered = [render_example(textures, _SERIES + i, size, seed).pixels for i in range(_PICTURES)]
    return torch.stack([torch.from_numpy(pixels) for pixels in rendered])
