"""PaDiM learns the good photos, and whether the embeddings of their patches keep their length.

Brought to one length, an embedding says what a patch looks like and not how strong its contrast is: better
where light and exposure vary, worse where a defect is a matter of brightness. Which holds is seen on the
training photos: the defective ones, which PaDiM never learns from, against the good ones, each of them left
out of the Gaussians that judge it. No photo that limits are chosen on or that is reported has a say.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.decision import CLEAN
from models.networks.free_fit import FreePadimFit
from models.networks.padim import Padim, PadimFit
from models.networks.padim_config import PadimConfig
from models.networks.resnet import Trunk
from training.data.samples import Sample
from training.paired import auroc_gain
from training.passes import layers_of, take_in
from training.spread import spread

# Fewer say nothing; more of either kind would cost more than they tell.
FEWEST_DEFECTS = 10
MOST_JUDGED = 512

# The embeddings stay as they are unless the photos clearly speak against it: two-sided 95 %.
_CHANCE = 0.025

Images = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class TrainingPhotos:
    """The photos that PaDiM is made from: its Gaussians from the good ones, its choice from all.

    Attributes:
        images: uint8 [N, H, W, 3], RGB.
        defective: which of them show a defect, bool [N].
        groups: photos that are alike share one, one each.
    """

    images: Images
    defective: npt.NDArray[np.bool_]
    groups: Sequence[Hashable]

    @property
    def good(self) -> Images:
        """Those without a defect."""
        chosen: Images = self.images[~self.defective]
        return chosen

    @classmethod
    def of(cls, samples: Sequence[Sample], images: Images) -> "TrainingPhotos":
        """Images of samples, in their order."""
        defective = np.array([sample.label != CLEAN for sample in samples])
        return cls(images, defective, [sample.group or sample.name for sample in samples])


@dataclass(frozen=True)
class Choice:
    """What PaDiM was fitted with, nothing left open, and why embeddings keep their length or not.

    `scores` are float32 [N], of each good photo as if it had not been learnt from; None where no choice
    was made on all of them.
    """

    config: PadimConfig
    why: str
    scores: npt.NDArray[np.float32] | None = None


@torch.inference_mode()
def fit_padim(
    trunk: Trunk,
    photos: TrainingPhotos,
    config: PadimConfig,
    *,
    device: str = "cpu",
    progress: bool = False,
    beside: FreePadimFit | None = None,
) -> tuple[Padim, Choice]:
    """Fit PaDiM on the good ones of the training photos.

    Args:
        config: where it asks for normalised embeddings, they are; else the defective photos decide.
        beside: takes in the good photos as well, in the same pass.

    Raises:
        ValueError: with fewer than two good photos.
        TrunkError: when the trunk's features are not finite, or too large for float32.
    """
    n_bad = int(photos.defective.sum())
    configs = [config]
    if config.normalise:
        why = "asked for"
    elif n_bad < FEWEST_DEFECTS:
        why = f"to choose, {FEWEST_DEFECTS} training photos of defects are needed, and there are {n_bad}"
    elif len(set(photos.groups)) < 2:
        why = "all training photos are of one group, which proves nothing of others"
    else:
        configs.append(replace(config, normalise=True))
        why = ""
    fits = [PadimFit(each) for each in configs]
    good = photos.good
    take_in(trunk, good, [*fits, *([beside] if beside else [])], device, progress=progress)
    models = [fit.finish() for fit in fits]
    chosen, scores = 0, None
    if len(models) > 1:
        chosen, why, scores = _choose(trunk, models, photos, device)
    taken = replace(configs[chosen], regularisation=config.ridge(len(good)))
    return models[chosen], Choice(taken, why, scores)


def left_out(distances: Tensor, photos: int) -> Tensor:
    """What distances of training photos would be, had each been left out of the Gaussians.

    By the Sherman-Morrison formula: exact for mean and covariance over the other photos, with
    (photos - 1) / (photos - 2) times as much on the diagonal, which is nearly what fewer photos get.

    Args:
        distances: Mahalanobis distances, float32, of any shape.
        photos: how many the Gaussians were fitted on, at least 3.

    Returns:
        Distances of the same shape.
    """
    squared = distances.double().square()
    share = photos / (photos - 1) ** 2
    # Rounding aside, a training photo's squared distance stays below 1 / share.
    rest = (1.0 - share * squared).clamp_min(1e-6)
    scale = (photos / (photos - 1)) ** 2 * (photos - 2) / (photos - 1)
    return (scale * squared / rest).sqrt().to(distances.dtype)


def left_out_maps(model: Padim, layers: Sequence[Tensor], photos: int) -> Tensor:
    """Anomaly maps [N, h, w] of photos that `model` was fitted on, each as if not learnt from."""
    maps: Tensor = model.smooth(left_out(model.distances(layers), photos))
    return maps


def _choose(
    trunk: Trunk, models: list[Padim], photos: TrainingPhotos, device: str
) -> tuple[int, str, npt.NDArray[np.float32] | None]:
    """Which of two models, the second with embeddings of one length, why, and its `Choice.scores`."""
    n_good = int((~photos.defective).sum())
    good, bad = (_few(np.flatnonzero(kind)) for kind in (~photos.defective, photos.defective))
    scores: list[list[float]] = [[], []]
    for rows, learnt in ((good, True), (bad, False)):
        for layers in layers_of(trunk, photos.images[rows], device):
            for own, model in zip(scores, models, strict=True):
                left = left_out_maps(model, layers, n_good).amax(dim=(1, 2)) if learnt else model(layers)[1]
                own += left.tolist()
    rows = np.concatenate([good, bad])
    groups = [photos.groups[row] for row in rows]
    found = auroc_gain(scores[0], scores[1], photos.defective[rows].tolist(), groups)
    clear = found.chance() < _CHANCE
    why = (
        f"embeddings brought to one length tell {len(bad)} training photos of defects from {len(good)} good "
        f"ones with AUROC {found.before + found.gain:.3f} instead of {found.before:.3f}"
    )
    of_good = np.array(scores[int(clear)][: len(good)], np.float32) if len(good) == n_good else None
    return int(clear), why if clear else f"{why}, which is no clear gain", of_good


def _few(rows: Rows) -> Rows:
    chosen: Rows = rows[spread(len(rows), MOST_JUDGED)]
    return chosen
