"""Training photos that were given as good and stand out: one that shows a defect teaches PaDiM to pass it.

Each photo is judged without itself, since PaDiM finds nothing strange in what it has learnt. Beyond a fence
over the scores of all (Tukey, Exploratory Data Analysis, 1977, chapter 2) a photo is for a person to look at.
Nothing is left out of the training: odd good parts are what a limit must allow for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from models.networks.padim import Padim
from models.networks.resnet import Trunk
from training.anomaly import left_out_maps
from training.data.samples import Sample
from training.passes import layers_of

# The fence lies so many times the distance between the quartiles above the upper one.
_SPREADS = 2.0
# Quartiles of fewer say little.
FEWEST = 20


@dataclass(frozen=True)
class Suspect:
    """A photo given as good that stands out among them.

    Attributes:
        score: PaDiM's anomaly score, had it not learnt from this photo.
        typical: the median of these scores over all good training photos.
        anomaly_map: float32 [h, w], what the score is the largest value of.
    """

    sample: Sample
    score: float
    typical: float
    anomaly_map: npt.NDArray[np.float32]


def find_suspects(
    trunk: Trunk,
    model: Padim,
    samples: Sequence[Sample],
    images: npt.NDArray[np.uint8],
    device: str,
    scores: npt.NDArray[np.float32] | None = None,
) -> list[Suspect]:
    """Those of the good photos that `model` was fitted on that stand out, the strangest first.

    A mixture without places is not asked: what it has of a single photo cannot be taken out of it again.

    Args:
        samples: of the photos.
        images: uint8 [N, H, W, 3] RGB, in the same order.
        scores: of each without itself (`Choice.scores`); None where they must be found first.
    """
    count = len(images)
    if count < FEWEST:
        return []
    if scores is None:
        found = _maps(trunk, model, images, count, device)
        scores = np.concatenate([own.max(axis=(1, 2)) for own in found])
    rows = beyond_fence(scores)
    if not rows:
        return []
    maps = np.concatenate(list(_maps(trunk, model, images[rows], count, device)))
    typical = float(np.median(scores))
    return [
        Suspect(samples[row], float(own.max()), typical, own) for row, own in zip(rows, maps, strict=True)
    ]


def beyond_fence(scores: npt.NDArray[np.floating[Any]]) -> list[int]:
    """Which of the scores [N] are far above most, the highest first."""
    lower, upper = np.quantile(scores, [0.25, 0.75])
    order = np.argsort(-scores, kind="stable")
    return [int(row) for row in order if scores[row] > upper + _SPREADS * (upper - lower)]


@torch.inference_mode()
def _maps(
    trunk: Trunk, model: Padim, images: npt.NDArray[np.uint8], fitted: int, device: str
) -> Iterator[npt.NDArray[np.float32]]:
    """Maps [n, h, w], a few photos at a time, each without its photo; `fitted` photos are learnt from."""
    model.to(device)
    for layers in layers_of(trunk, images, device):
        yield left_out_maps(model, layers, fitted).float().cpu().numpy()
