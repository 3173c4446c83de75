"""The networks learn: the classifier from clean and defective photos, PaDiM from real clean ones alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.decision import CLEAN
from models.networks.padim import Padim
from models.networks.resnet import Head, Trunk, build_resnet50
from training.alignment import ChosenAlignment, Fitted, fit_aligned
from training.anomaly import Choice, TrainingPhotos
from training.batch_norm import settle
from training.config import TrainConfig
from training.data.samples import Sample
from training.finetune import finetune
from training.movement import Settled
from training.suspects import Suspect, find_suspects
from training.synthetic.photos import CleanPhotos, PaintedPhoto, PaintedPhotos, stand_ins
from training.trunk import TrunkWeights
from training.views import LabelledImages


@dataclass(frozen=True)
class Networks:
    """The trained pieces; no head without defect classes.

    `choice` and `alignment` say what PaDiM is, `suspects` from which it should perhaps not have learnt.
    """

    trunk: Trunk
    head: Head | None
    padim: Fitted
    choice: Choice
    alignment: ChosenAlignment
    history: list[dict[str, float]]
    suspects: list[Suspect]


def train_networks(
    config: TrainConfig,
    weights: TrunkWeights,
    classes: Sequence[str],
    settled: Settled,
    painted: PaintedPhotos,
    device: str,
) -> Networks:
    """Fine-tune the classifier, if there is a defect class, and fit PaDiM.

    Args:
        classes: `clean`, then the defect classes, each with a real or painted training photo.
        settled: the photos as the model sees them.
        painted: photos that the classifier learns from and stops on as well.

    Raises:
        TrunkError: when the trunk's weights give nothing that can be worked with.
    """
    photos = settled.photos
    split, images = photos.split, photos.images
    torch.manual_seed(config.seed)
    trunk, head = build_resnet50(len(classes), weights.state)
    if weights.random:
        # Random layers take their batch-norm statistics from the photos, or activations would grow unchecked.
        unsettled = nn.ModuleList([trunk, head])
        settle(unsettled, lambda part: head(trunk(part)), torch.from_numpy(images["train"][:64]))
    history: list[dict[str, float]] = []
    if len(classes) > 1:
        history = finetune(
            trunk,
            head,
            _labelled(images["train"], split.train, painted.train, classes),
            _labelled(images["calibration"], split.calibration, stand_ins(split, painted), classes),
            config.finetune,
            train_statistics=weights.random,
            device=device,
            progress=config.progress,
        )
    held_out = CleanPhotos(split.calibration, images["calibration"], photos.places["calibration"])
    learnt_from = TrainingPhotos.of(split.train, images["train"])
    # Laid on a template, parts lie in one place.
    fitted_as = replace(config, alignment="fixed") if settled.alignment else config
    padim, choice, alignment = fit_aligned(fitted_as, trunk, learnt_from, held_out, device)
    if settled.alignment:
        alignment = settled.alignment
    elif settled.remark:
        alignment = replace(alignment, why=f"{alignment.why} {settled.remark}")
    good = [sample for sample in split.train if sample.label == CLEAN]
    suspects = []
    if isinstance(padim, Padim):
        suspects = find_suspects(trunk, padim, good, learnt_from.good, device, choice.scores)
    own_head = head.cpu() if len(classes) > 1 else None
    return Networks(trunk.cpu(), own_head, padim.cpu(), choice, alignment, history, suspects)


def _labelled(
    images: npt.NDArray[np.uint8],
    samples: Sequence[Sample],
    painted: Sequence[PaintedPhoto],
    classes: Sequence[str],
) -> LabelledImages:
    """Images of known classes with their class indices; a class without training photos is left out."""
    known = np.array([sample.label in classes for sample in samples])
    labels = [classes.index(s.label) for s in samples if s.label in classes]
    labels += [classes.index(photo.label) for photo in painted]
    drawn = [photo.painted.pixels[None] for photo in painted]
    is_painted = np.arange(len(labels)) >= len(labels) - len(painted)
    everything = np.concatenate([images[known], *drawn])
    return LabelledImages(everything, np.array(labels, dtype=np.int64), is_painted)
