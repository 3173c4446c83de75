"""What the trunk is asked about each picture, cell by cell: which texture, thing, flaw and place.

The question for the place is that of Wang et al., Dense Contrastive Learning for Self-Supervised Visual
Pre-Training, CVPR 2021, equation 2, where it is known which cells of two views show the same place: of all
cells that the views of some scenes share, find the one that does.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.resnet import LAYER_CHANNELS
from training.pretrain.pictures import FLAW_KINDS, MOST_VIEWS, THINGS
from training.pretrain.source import UNKNOWN, Batch

# Most cells hold neither a thing nor a flaw; they would drown the others.
_NO_THING = 0.1
_NO_FLAW = 0.05

_WEIGHTS = {
    "surface": 1.0,
    "texture16": 0.5,
    "texture8": 0.2,
    "thing": 0.7,
    "flaw": 1.0,
    "place16": 0.15,
    "place8": 0.15,
}

# Of the vectors by which places are found: how many numbers, and what their cosines are divided by.
_PLACE_DIMS = 64
_TEMPERATURE = 0.1


@dataclass(frozen=True)
class Judgement:
    """The loss to descend, and what is worth logging."""

    loss: Tensor
    figures: dict[str, float]


class ReadOuts(nn.Module):
    """Linear read-outs of layer1-3; they are thrown away when the trunk is done."""

    def __init__(self, classes: int, *, with_places: bool = False) -> None:
        super().__init__()
        first, second, third = LAYER_CHANNELS
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels, affine=False) for channels in LAYER_CHANNELS)
        self.surface = nn.Linear(third, classes)
        self.texture16 = nn.Conv2d(third, classes, 1)
        self.texture8 = nn.Conv2d(second, classes, 1)
        self.thing2, self.thing3 = nn.Conv2d(second, THINGS, 1), nn.Conv2d(third, THINGS, 1)
        self.flaw1, self.flaw2, self.flaw3 = (nn.Conv2d(c, FLAW_KINDS, 1) for c in (first, second, third))
        self.place16 = nn.Conv2d(third, _PLACE_DIMS, 1) if with_places else None
        self.place8 = nn.Conv2d(second, _PLACE_DIMS, 1) if with_places else None

    def forward(self, layer1: Tensor, layer2: Tensor, layer3: Tensor) -> dict[str, Tensor]:
        """Logits [N, classes, h, w] on the grids of `Batch`; of the surface, [N, classes].

        Of the places, where they are asked, vectors [N, 64, h, w] on the grids of layer3 and layer2.
        """
        layer1, layer2, layer3 = (
            norm(layer) for norm, layer in zip(self.norms, (layer1, layer2, layer3), strict=True)
        )
        logits = {
            "surface": self.surface(layer3.mean(dim=(2, 3))),
            "texture16": self.texture16(layer3),
            "texture8": self.texture8(layer2),
            "thing": self.thing2(layer2) + _larger(self.thing3(layer3), 2),
            "flaw": self.flaw1(layer1) + _larger(self.flaw2(layer2), 2) + _larger(self.flaw3(layer3), 4),
        }
        if self.place16 is not None and self.place8 is not None:
            logits |= {"place16": self.place16(layer3), "place8": self.place8(layer2)}
        return logits


def judge(logits: dict[str, Tensor], batch: Batch) -> Judgement:
    """Weighted sum of the cross-entropies over known cells and, of two views, over places that both show."""
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
    for name, side in (("place16", 16), ("place8", 8)) if batch.views > 1 else ():
        scores = _alike(logits[name].float(), batch.corners // side)
        target = torch.arange(len(scores), device=device)
        entropy = (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2
        loss = loss + _WEIGHTS[name] * entropy
        figures[f"{name}_loss"] = entropy.item()
        figures[f"{name}_accuracy"] = (scores.detach().argmax(dim=1) == target).float().mean().item()
    return Judgement(loss, figures)


def _alike(vectors: Tensor, corners: npt.NDArray[np.int64]) -> Tensor:
    """How alike the cells that two views of a scene share are [C, C]; those of one place on the diagonal.

    Args:
        vectors: of cells [N, dims, h, w]; pictures 0 and 1 show one scene, 2 and 3 the next.
        corners: of each picture in its scene, in cells [N, 2].
    """
    pairs = [_shared(vectors, corners, number) for number in range(0, len(corners), MOST_VIEWS)]
    first, second = (torch.cat(cells) for cells in zip(*pairs, strict=True))
    return first @ second.T / _TEMPERATURE


def _shared(vectors: Tensor, corners: npt.NDArray[np.int64], number: int) -> tuple[Tensor, Tensor]:
    """Unit vectors [cells, dims] of the cells that picture `number` and the next both show, in one order."""
    row, column = (corners[number + 1] - corners[number]).tolist()
    return _from(vectors[number], row, column), _from(vectors[number + 1], -row, -column)


def _from(cells: Tensor, row: int, column: int) -> Tensor:
    """Unit vectors of what remains of cells [dims, h, w] once they are moved up and left by so many."""
    height, width = cells.shape[1:]
    rows, columns = slice(max(0, row), height + min(0, row)), slice(max(0, column), width + min(0, column))
    return F.normalize(cells[:, rows, columns].flatten(1).T, dim=1)


def _larger(scores: Tensor, times: int) -> Tensor:
    return F.interpolate(scores, scale_factor=float(times), mode="bilinear", align_corners=False)
