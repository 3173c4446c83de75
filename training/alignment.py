"""Where good parts lie in their photos, as PaDiM is to see it: the choice of `--alignment`, and the fit.

`auto` fits both kinds in one pass over the clean training photos, paints defects on clean calibration photos,
and asks which kind tells them from the same photos unpainted. Photos of real defects have no say in it, so
that what the report says of them is as honest as without a choice; neither have test photos.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from models.networks.free_fit import FreePadimFit
from models.networks.free_padim import FreePadim
from models.networks.padim import Padim
from models.networks.resnet import Trunk
from training.anomaly import Choice, TrainingPhotos, fit_padim
from training.config import Alignment, AlignmentOption, TrainConfig
from training.paired import Gain, auroc_gain
from training.passes import layers_of, take_in
from training.synthetic.kinds import KINDS
from training.synthetic.photos import CleanPhotos

# Clean calibration photos that `auto` looks at, each as it is and once painted: the choice must cost little.
MOST_TRIED = 32
# With fewer the answer would be chance.
FEWEST_TRIED = 12
# `free` must surely be better by so much, in AUROC: it gives up knowing what belongs where, which painted
# scratches, dents and stains do not test.
MARGIN = 0.05
_CHANCE = 0.05
_STREAM = 2  # of random numbers, beside those of the painted photos of training and calibration

_NOT_TRIED = "one mixture for all places, for which it is not tried"

Fitted = Padim | FreePadim
Photos = list[npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class ChosenAlignment:
    """What was taken, and why.

    Attributes:
        asked: what was asked for.
        chosen: what PaDiM is fitted with.
        why: in plain words.
        image_auroc: of each kind, painted against unpainted clean calibration photos; empty if not measured.
        tried: how many clean photos that was measured on.
    """

    asked: AlignmentOption
    chosen: Alignment
    why: str
    image_auroc: dict[Alignment, float]
    tried: int = 0

    def summary(self) -> dict[str, Any]:
        """What the manifest keeps of it."""
        return dict(vars(self))


def fit_aligned(
    config: TrainConfig,
    trunk: Trunk,
    photos: TrainingPhotos,
    held_out: CleanPhotos,
    device: str,
) -> tuple[Fitted, Choice, ChosenAlignment]:
    """Fit PaDiM with the alignment that was asked for, or that suits the photos.

    Args:
        trunk: as it will be served.
        held_out: clean calibration photos, for `auto`.

    Returns:
        The fitted model, what its embeddings are, and what was taken and why.

    Raises:
        TrunkError: when the trunk's features are not finite, or too large for float32.
    """
    if config.alignment == "free":
        alone = FreePadimFit(config.padim)
        take_in(trunk, photos.good, [alone], device, progress=config.progress)
        return alone.finish(), _of_free(alone), _as_asked("free")
    pairs = paint_pairs(held_out, config.padim.seed) if config.alignment == "auto" else ([], [])
    beside = FreePadimFit(config.padim) if len(pairs[0]) >= FEWEST_TRIED else None
    fixed, choice = fit_padim(
        trunk, photos, config.padim, device=device, progress=config.progress, beside=beside
    )
    if config.alignment == "fixed":
        return fixed, choice, _as_asked("fixed")
    if beside is None:
        return fixed, choice, ChosenAlignment("auto", "fixed", _too_few(len(pairs[0])), {})
    free = beside.finish()
    clean, painted = (scores_of(trunk, (fixed, free), images, device) for images in pairs)
    chosen = decide((clean[0], painted[0]), (clean[1], painted[1]))
    return (free, _of_free(beside), chosen) if chosen.chosen == "free" else (fixed, choice, chosen)


def _of_free(fit: FreePadimFit) -> Choice:
    return Choice(replace(fit.config, regularisation=fit.ridge), _NOT_TRIED)


def _as_asked(alignment: Alignment) -> ChosenAlignment:
    return ChosenAlignment(alignment, alignment, f"`{alignment}` was asked for.", {})


Scores = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def decide(fixed: Scores, free: Scores) -> ChosenAlignment:
    """Take `free` where it is surely better, else `fixed`.

    Args:
        fixed, free: what each scores the same photos, unpainted [N] and painted [N], in the same order.
    """
    count = len(fixed[0])
    found = painted_gain(fixed, free)
    areas: dict[Alignment, float] = {"fixed": found.before, "free": found.before + found.gain}
    sure = is_sure(found)
    measured = (
        f"On {count} clean calibration photos, painted defects were told from none with an AUROC of "
        f"{areas['free']:.3f} without places and {areas['fixed']:.3f} with a place for everything"
    )
    if sure:
        why = f"{measured}: parts turn or move, so a place in the photo says little."
    elif areas["free"] > areas["fixed"]:
        why = f"{measured}: not so much better that it could not be chance, so places are kept."
    else:
        why = f"{measured}: parts lie in about the same place."
    return ChosenAlignment("auto", "free" if sure else "fixed", why, areas, count)


def painted_gain(before: Scores, after: Scores) -> Gain:
    """How much better `after` tells painted photos from the same photos unpainted."""
    count = len(before[0])
    is_painted, pairs = [False] * count + [True] * count, [*range(count)] * 2
    first, second = (np.concatenate(scores).tolist() for scores in (before, after))
    return auroc_gain(first, second, is_painted, pairs)


def is_sure(gain: Gain) -> bool:
    """Whether it is more than `MARGIN`, and hardly by chance."""
    return gain.chance(beyond=MARGIN) < _CHANCE


def paint_pairs(held_out: CleanPhotos, seed: int) -> tuple[Photos, Photos]:
    """A seeded choice of clean photos, and the same photos painted; those that cannot be are left out."""
    order = np.random.default_rng((seed, _STREAM)).permutation(len(held_out.samples))
    clean: Photos = []
    painted: Photos = []
    for number, row in enumerate(order[:MOST_TRIED].tolist()):
        rng = np.random.default_rng((seed, _STREAM, number))
        drawn = held_out.paint(row, KINDS[number % len(KINDS)], rng)
        if drawn is not None:
            clean.append(held_out.pixels(row))
            painted.append(drawn.pixels)
    return clean, painted


@torch.inference_mode()
def scores_of(trunk: Trunk, models: Sequence[Fitted], photos: Photos, device: str) -> npt.NDArray[np.float64]:
    """What each model scores each photo, float64 [models, photos]."""
    found = [
        torch.stack([model.to(device)(layers)[1] for model in models])
        for layers in layers_of(trunk, np.stack(photos), device)
    ]
    scores: npt.NDArray[np.float64] = torch.cat(found, dim=1).double().cpu().numpy()
    return scores


def _too_few(count: int) -> str:
    return (
        f"Only {count} clean calibration photos could be tried, and {FEWEST_TRIED} are needed to choose: it "
        "is assumed that parts lie in about the same place. Where not, use --alignment register or free."
    )
