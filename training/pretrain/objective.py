"""What the trunk is asked about each picture, cell by cell: which texture, which thing, which flaw."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.resnet import LAYER_CHANNELS
from training.pretrain.pictures import FLAW_KINDS, THINGS
from training.pretrain.source import UNKNOWN, Batch

# Most cells hold neither a thing nor a flaw; they would drown the others.
_NO_THING = 0.1
_NO_FLAW = 0.05

_WEIGHTS = {"surface": 1.0, "texture16": 0.5, "texture8": 0.2, "thing": 0.7, "flaw": 1.0}


@dataclass(frozen=True)
class Judgement:
    """The loss to descend, and what is worth logging."""

    loss: Tensor
    figures: dict[str, float]


class ReadOuts(nn.Module):
    """Linear read-outs of layer1-3; they are thrown away when the trunk is done."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        first, second, third = LAYER_CHANNELS
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels, affine=False) for channels in LAYER_CHANNELS)
        self.surface = nn.Linear(third, classes)
        self.texture16 = nn.Conv2d(third, classes, 1)
        self.texture8 = nn.Conv2d(second, classes, 1)
        self.thing2, self.thing3 = nn.Conv2d(second, THINGS, 1), nn.Conv2d(third, THINGS, 1)
        self.flaw1, self.flaw2, self.flaw3 = (nn.Conv2d(c, FLAW_KINDS, 1) for c in (first, second, third))

    def forward(self, layer1: Tensor, layer2: Tensor, layer3: Tensor) -> dict[str, Tensor]:
        """Logits [N, classes, h, w] on the grids of `Batch`; of the surface, [N, classes]."""
        layer1, layer2, layer3 = (
            norm(layer) for norm, layer in zip(self.norms, (layer1, layer2, layer3), strict=True)
        )
        return {
            "surface": self.surface(layer3.mean(dim=(2, 3))),
            "texture16": self.texture16(layer3),
            "texture8": self.texture8(layer2),
            "thing": self.thing2(layer2) + _larger(self.thing3(layer3), 2),
            "flaw": self.flaw1(layer1) + _larger(self.flaw2(layer2), 2) + _larger(self.flaw3(layer3), 4),
        }


def judge(logits: dict[str, Tensor], batch: Batch) -> Judgement:
    """Weighted sum of the cross-entropies over known cells."""
    device = logits["flaw"].device
    labels = {
        "surface": batch.surfaces,
        "texture16": batch.textures16,
        "texture8": batch.textures8,
        "thing": batch.things,
        "flaw": batch.flaws,
    }
    loss = torch.zeros((), device=device)
    figures: dict[str, float] = {}
    for name, values in labels.items():
        target = torch.from_numpy(values).to(device)
        scores = logits[name].float()
        weight = torch.ones(scores.shape[1], device=device)
        weight[0] = {"thing": _NO_THING, "flaw": _NO_FLAW}.get(name, 1.0)
        entropy = F.cross_entropy(scores, target, weight=weight, ignore_index=UNKNOWN)
        loss = loss + _WEIGHTS[name] * entropy
        told = target != UNKNOWN if name not in ("thing", "flaw") else target > 0
        right = (scores.detach().argmax(dim=1) == target)[told].float()
        figures[f"{name}_loss"] = entropy.item()
        figures[f"{name}_accuracy"] = right.mean().item() if right.numel() else 0.0
    return Judgement(loss, figures)


def _larger(scores: Tensor, times: int) -> Tensor:
    return F.interpolate(scores, scale_factor=float(times), mode="bilinear", align_corners=False)
