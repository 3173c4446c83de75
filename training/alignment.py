"""Where good parts lie in their photos, as PaDiM is to see it: the choice of `--alignment`, and the fit.

`auto` fits both kinds in one pass over the clean training photos, paints defects on clean calibration photos,
and asks which kind tells them from the same photos unpainted. Photos of real defects have no say in it, so
that what the report says of them is as honest as without a choice; neither have test photos.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.networks.free_fit import FreePadimFit
from models.networks.free_padim import FreePadim
from models.networks.padim import Padim
from models.networks.padim_config import Alignment
from models.networks.resnet import Trunk
from training.anomaly import Choice, TrainingPhotos, fit_padim
from training.config import AlignmentOption, TrainConfig
from training.metrics import auroc
from training.progress import track
from training.synthetic.kinds import KINDS
from training.synthetic.photos import CleanPhotos

log = logging.getLogger(__name__)

# Clean calibration photos that `auto` looks at, each as it is and once painted: the choice must cost little.
MOST_TRIED = 32
# With fewer the answer would be chance.
FEWEST_TRIED = 12
# `free` must be better by so much, in AUROC, in all but one of twenty redraws of the photos: it gives up
# knowing what belongs where, which painted scratches, dents and stains do not test.
MARGIN = 0.05
_REDRAWS = 400
_BATCH = 8
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
    kept = Choice(config.padim.normalise, _NOT_TRIED)
    if config.alignment == "free":
        model = _fit_free(config, trunk, photos.good, device)
        return model, kept, _announced(_as_asked("free"))
    pairs = paint_pairs(held_out, config.padim.seed) if config.alignment == "auto" else ([], [])
    beside = FreePadimFit(config.padim) if len(pairs[0]) >= FEWEST_TRIED else None
    fixed, choice = fit_padim(
        trunk, photos, config.padim, device=device, progress=config.progress, beside=beside
    )
    if config.alignment == "fixed":
        return fixed, choice, _announced(_as_asked("fixed"))
    if beside is None:
        return fixed, choice, _announced(ChosenAlignment("auto", "fixed", _too_few(len(pairs[0])), {}))
    free = beside.finish()
    clean, painted = pairs
    of_fixed, of_free = (
        (_score(trunk, model, clean, device), _score(trunk, model, painted, device))
        for model in (fixed, free)
    )
    chosen = _announced(decide(of_fixed, of_free, config.padim.seed))
    return (free, kept, chosen) if chosen.chosen == "free" else (fixed, choice, chosen)


def _as_asked(alignment: Alignment) -> ChosenAlignment:
    return ChosenAlignment(alignment, alignment, f"`{alignment}` was asked for.", {})


@torch.inference_mode()
def _fit_free(config: TrainConfig, trunk: Trunk, good: npt.NDArray[np.uint8], device: str) -> FreePadim:
    fit = FreePadimFit(config.padim)
    trunk.to(device)
    for batch in track(list(_batches(good)), "Fitting PaDiM", enabled=config.progress):
        fit.add(trunk(batch.to(device)))
    return fit.finish()


Scores = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def decide(fixed: Scores, free: Scores, seed: int) -> ChosenAlignment:
    """Take `free` where it is better beyond what another draw of photos could undo, else `fixed`.

    Args:
        fixed, free: what each scores the same photos, unpainted [N] and painted [N], in the same order.
        seed: of the redraws.
    """
    areas: dict[Alignment, float] = {"fixed": _area(*fixed), "free": _area(*free)}
    rng, count = np.random.default_rng(seed), len(fixed[0])
    gains = []
    for _ in range(_REDRAWS):
        rows = rng.integers(0, count, count)
        gains.append(_area(*(scores[rows] for scores in free)) - _area(*(scores[rows] for scores in fixed)))
    sure = float(np.quantile(gains, 0.05)) > MARGIN
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
def _score(
    trunk: Trunk, model: Fitted, photos: Sequence[npt.NDArray[np.uint8]], device: str
) -> npt.NDArray[np.float64]:
    model.to(device)
    found = [model(trunk(batch.to(device)))[1] for batch in _batches(np.stack(photos))]
    scores: npt.NDArray[np.float64] = torch.cat(found).double().cpu().numpy()
    return scores


def _batches(images: npt.NDArray[np.uint8]) -> Iterator[Tensor]:
    yield from torch.split(torch.from_numpy(images), _BATCH)


def _area(clean: npt.NDArray[np.float64], painted: npt.NDArray[np.float64]) -> float:
    found = auroc([*clean.tolist(), *painted.tolist()], [False] * len(clean) + [True] * len(painted))
    if found is None:
        raise ValueError("both sides must have photos")
    return found


def _too_few(count: int) -> str:
    return (
        f"Only {count} clean calibration photos could be tried, and {FEWEST_TRIED} are needed to choose: it "
        "is assumed that parts lie in about the same place. Where they do not, use --alignment free."
    )


def _announced(chosen: ChosenAlignment) -> ChosenAlignment:
    log.info("Alignment %s: %s", chosen.chosen, chosen.why)
    return chosen
