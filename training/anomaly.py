"""PaDiM learns the good photos, and whether the embeddings of their patches keep their length.

Brought to one length, an embedding says what a patch looks like and not how strong its contrast is: better
where light and exposure vary, worse where a defect is a matter of brightness. Which holds is seen on the
training photos: the defective ones, which PaDiM never learns from, against the good ones, each of them left
out of the Gaussians that judge it. No photo that limits are chosen on or that is reported has a say.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.networks.free_fit import FreePadimFit
from models.networks.padim import Padim, PadimFit
from models.networks.padim_config import PadimConfig
from models.networks.resnet import Trunk
from training.metrics import auroc_gain
from training.progress import track

# Fewer say nothing; more of either kind would cost more than they tell.
FEWEST_DEFECTS = 10
MOST_JUDGED = 128

# One-sided 95 %: the embeddings stay as they are unless the photos clearly speak against it.
_CLEARLY = 1.645
_BATCH = 8

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Choice:
    """Whether the embeddings are brought to one length, and why, in plain words."""

    normalise: bool
    why: str


@torch.inference_mode()
def fit_padim(
    trunk: Trunk,
    images: Images,
    defective: npt.NDArray[np.bool_],
    config: PadimConfig,
    *,
    device: str = "cpu",
    progress: bool = False,
    beside: FreePadimFit | None = None,
) -> tuple[Padim, Choice]:
    """Fit PaDiM on the good ones of the training photos.

    Args:
        images: uint8 [N, H, W, 3], RGB.
        defective: which of them show a defect, bool [N].
        config: where it asks for normalised embeddings, they are; else the defective photos decide.
        beside: takes in the good photos as well, in the same pass.

    Raises:
        ValueError: with fewer than two good photos.
        TrunkError: when the trunk's features are not finite, or too large for float32.
    """
    good, bad = images[~defective], images[defective]
    configs = [config]
    if config.normalise:
        why = "asked for"
    elif len(bad) < FEWEST_DEFECTS:
        why = f"to choose, {FEWEST_DEFECTS} training photos of defects are needed, and there are {len(bad)}"
    else:
        configs.append(replace(config, normalise=True))
        why = ""
    trunk.to(device)
    fits = [PadimFit(each) for each in configs]
    for batch in track(list(_batches(good)), "Fitting PaDiM", enabled=progress):
        layers = trunk(batch.to(device))
        for fit in fits:
            fit.add(layers)
        if beside is not None:
            beside.add(layers)
    models = [fit.finish() for fit in fits]
    if len(models) == 1:
        return models[0], Choice(config.normalise, why)
    choice = _choose(trunk, models, len(good), _spread(good), _spread(bad), device)
    return models[choice.normalise], choice


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


def _choose(trunk: Trunk, models: list[Padim], photos: int, good: Images, bad: Images, device: str) -> Choice:
    scores: list[list[float]] = [[], []]
    for kind, held_out in ((good, True), (bad, False)):
        for batch in _batches(kind):
            layers = trunk(batch.to(device))
            for own, model in zip(scores, models, strict=True):
                distances = model.distances(layers)
                own += (
                    model.smooth(left_out(distances, photos) if held_out else distances)
                    .amax(dim=(1, 2))
                    .tolist()
                )
    defective = [False] * len(good) + [True] * len(bad)
    plain, gain, error = auroc_gain(scores[0], scores[1], defective)
    clear = gain > _CLEARLY * error
    why = (
        f"embeddings brought to one length tell {len(bad)} training photos of defects from {len(good)} good "
        f"ones with AUROC {plain + gain:.3f} instead of {plain:.3f}"
    )
    return Choice(clear, why if clear else f"{why}, which is no clear gain")


def _spread(images: Images) -> Images:
    """At most `MOST_JUDGED`, evenly."""
    chosen: Images = images[np.linspace(0, len(images) - 1, min(len(images), MOST_JUDGED)).astype(int)]
    return chosen


def _batches(images: Images) -> Iterator[Tensor]:
    yield from torch.split(torch.from_numpy(images), _BATCH)
