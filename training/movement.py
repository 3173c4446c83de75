"""Whether photos are laid on a template before anything is learnt: as asked for, or because it pays.

`auto` first lays a few clean training photos on one another. Only where that goes well, and they really lie
differently, are all laid on a template and PaDiM fitted with and without; painted defects say what is better.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from models.decision import CLEAN
from models.errors import DatasetError
from models.networks.free_fit import FreePadimFit
from models.networks.padim import PadimFit
from models.networks.resnet import build_resnet50
from models.preprocessing import Placement
from models.quality import QualityGate
from models.registration import Template
from training.alignment import (
    FEWEST_TRIED,
    MARGIN,
    ChosenAlignment,
    Fitted,
    Photos,
    Scores,
    is_sure,
    paint_pairs,
    painted_gain,
    scores_of,
)
from training.config import Alignment, TrainConfig
from training.passes import take_in
from training.registering import SeenPhotos, announce_left_out, register_photos
from training.spread import spread
from training.synthetic.photos import CleanPhotos
from training.template import LearntTemplate, learn_template
from training.trunk import TrunkWeights

# Clean training photos that are laid on one another to see whether parts move.
MOST_LAID = 32
# Parts that are off by no more cells of PaDiM's grid lie still: so much its Gaussians take in.
_CELLS = 1.0
# A photo that was stretched further than this cannot be turned.
_STRETCHED = 1.03


@dataclass(frozen=True)
class Settled:
    """How photos are seen.

    Attributes:
        photos: as the model sees them.
        gate: the quality gate, with what a photo must reach on the template, if there is one.
        alignment: what was taken, and why; None where that is still to be found out among the others.
        remark: why they are not laid on a template, if it was thought of.
    """

    photos: SeenPhotos
    gate: QualityGate
    alignment: ChosenAlignment | None = None
    remark: str = ""


def settle_movement(
    config: TrainConfig, weights: TrunkWeights, photos: SeenPhotos, gate: QualityGate, device: str
) -> Settled:
    """Lay photos on a template where that was asked for, or where `auto` finds that it pays.

    Raises:
        DatasetError: when it was asked for, and clean photos cannot be laid on one another.
    """
    if config.alignment == "register":
        learnt = learn_template(clean_images(photos), _clean_places(photos))
        laid, gate = register_photos(photos, learnt, gate, progress=config.progress)
        announce_left_out(laid)
        why = f"`register` was asked for. {_turned_back(learnt)}"
        return Settled(laid, gate, ChosenAlignment("register", "register", why, {}))
    if config.alignment != "auto":
        return Settled(photos, gate)
    if _stretch(photos) > _STRETCHED:
        why = "Photos are stretched to the shape of the model: turn them back with --alignment register."
        return Settled(photos, gate, remark=why)
    images = clean_images(photos)
    if why := lies_still(images[spread(len(images), MOST_LAID)], config.padim.stride):
        return Settled(photos, gate, remark=why)
    held_out = CleanPhotos(
        photos.split.calibration, photos.images["calibration"], photos.places["calibration"]
    )
    pairs = paint_pairs(held_out, config.padim.seed)
    if weights.random or len(pairs[0]) < FEWEST_TRIED:
        why = "There is too little to try by whether to lay them on a template: ask for --alignment register."
        return Settled(photos, gate, remark=why)
    try:
        learnt = learn_template(images, _clean_places(photos))
        laid, new_gate = register_photos(photos, learnt, gate, progress=config.progress)
    except DatasetError as error:
        return Settled(photos, gate, remark=f"Not laid on a template. {error.problem}")
    chosen = _try(config, weights, photos, laid, learnt.template, pairs, device)
    if chosen.chosen == "register":
        announce_left_out(laid)
        return Settled(laid, new_gate, replace(chosen, why=f"{chosen.why} {_turned_back(learnt)}"))
    return Settled(photos, gate, remark=f"Not laid on a template. {chosen.why}")


@torch.inference_mode()
def _try(
    config: TrainConfig,
    weights: TrunkWeights,
    photos: SeenPhotos,
    laid: SeenPhotos,
    template: Template,
    pairs: tuple[Photos, Photos],
    device: str,
) -> ChosenAlignment:
    """Fit PaDiM on photos as they lie and laid on a template, and let painted defects say what is better.

    Args:
        template: that `laid` lie on.
        pairs: clean photos as they lie, and the same photos painted; each is turned back anew.
    """
    trunk = build_resnet50(2, weights.state)[0]
    fixed, free, turned = PadimFit(config.padim), FreePadimFit(config.padim), PadimFit(config.padim)
    take_in(trunk, clean_images(photos), [fixed, free], device, progress=config.progress)
    take_in(trunk, clean_images(laid), [turned], device, progress=config.progress)
    model = turned.finish()
    models: list[Fitted] = [fixed.finish(), free.finish()]
    scores: dict[Alignment, list[npt.NDArray[np.float64]]] = {"fixed": [], "free": [], "register": []}
    for images in pairs:
        of_fixed, of_free = scores_of(trunk, models, images, device)
        (of_register,) = scores_of(trunk, [model], [template.turn_back(image) for image in images], device)
        for kind, own in zip(scores, (of_fixed, of_free, of_register), strict=True):
            scores[kind].append(own)
    return prefer_register({kind: (clean, painted) for kind, (clean, painted) in scores.items()})


def prefer_register(scores: dict[Alignment, Scores]) -> ChosenAlignment:
    """Take `register` where it is surely better than `fixed`, and no worse than `free` by more than `MARGIN`.

    Between it and `free` painted defects alone do not decide: only it knows what belongs where.

    Args:
        scores: of each kind, for the same photos unpainted [N] and painted [N], in the same order.
    """
    count = len(scores["fixed"][0])
    found = painted_gain(scores["fixed"], scores["register"])
    over_free = painted_gain(scores["free"], scores["register"])
    areas: dict[Alignment, float] = {
        "fixed": found.before,
        "free": over_free.before,
        "register": found.before + found.gain,
    }
    better = is_sure(found) and over_free.gain >= -MARGIN
    why = (
        f"On {count} clean calibration photos, painted defects were told from none with an AUROC of "
        f"{areas['register']:.3f} once parts were turned back to a template, {areas['free']:.3f} without "
        f"places and {areas['fixed']:.3f} with places in the photo as it lies"
    )
    end = "parts turn or move, and can be turned back." if better else "turning them back gains too little."
    return ChosenAlignment("auto", "register" if better else "fixed", f"{why}: {end}", areas, count)


def clean_images(photos: SeenPhotos) -> npt.NDArray[np.uint8]:
    """The clean training photos as the model sees them, uint8 [N, H, W, 3], RGB."""
    clean = np.array([sample.label == CLEAN for sample in photos.split.train], bool)
    chosen: npt.NDArray[np.uint8] = photos.images["train"][clean]
    return chosen


def _clean_places(photos: SeenPhotos) -> list[Placement]:
    given = zip(photos.split.train, photos.places["train"], strict=True)
    return [place for sample, place in given if sample.label == CLEAN]


def lies_still(images: npt.NDArray[np.uint8], stride: int) -> str:
    """Why clean photos, uint8 [N, H, W, 3], need not or cannot be laid on a template; empty if it may pay."""
    try:
        few = learn_template(images)
    except DatasetError:
        return "Clean parts cannot be laid on one another by turning and moving them."
    if few.moved <= _CELLS * stride:
        return (
            f"Laid on one another, nine in ten parts are off by {few.moved:.1f} pixels and {few.turned:.0f} "
            "degrees at most: there is nothing to turn back."
        )
    return ""


def _turned_back(learnt: LearntTemplate) -> str:
    return (
        f"Nine in ten parts are off by {learnt.moved:.1f} pixels and {learnt.turned:.0f} degrees at most "
        "before they are laid on the template."
    )


def _stretch(photos: SeenPhotos) -> float:
    """By what factor photos are stretched to the model's shape, at most."""
    ratios = [
        (place.height / place.photo_height) / (place.width / place.photo_width)
        for place in photos.places["train"]
    ]
    return max(max(ratio, 1 / ratio) for ratio in ratios)
