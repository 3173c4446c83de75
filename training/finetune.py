"""Fine-tuning ResNet50 to the clean class and the defect classes.

First the linear read-out is fitted alone; then the layers that the strategy names move, from there. Whatever
stays frozen is run once for each photo and each augmented view of it that is drawn; its activations are
kept, and only the rest of the network is trained on them.
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.errors import TrunkError
from models.networks.resnet import Head, Trunk
from training.config import FinetuneConfig
from training.progress import track
from training.readout import balanced_weights, fit_readout
from training.stages import Stage, split_network
from training.views import LabelledImages, ViewCache, activations


@dataclass(frozen=True)
class _Lessons:
    """What is learnt from and judged on: views of the training photos, and the calibration photos."""

    views: ViewCache
    labels: Tensor
    painted: npt.NDArray[np.bool_] | None
    held_out: Tensor
    truth: Tensor
    device: str


def finetune(
    trunk: Trunk,
    head: Head,
    train: LabelledImages,
    calibration: LabelledImages,
    config: FinetuneConfig,
    *,
    train_statistics: bool = False,
    device: str = "cpu",
    progress: bool = True,
) -> list[dict[str, float]]:
    """Fine-tune in place and leave both modules in evaluation mode with the best epoch's weights.

    Args:
        trunk, head: the network; which of their weights move is the strategy's choice.
        train, calibration: photos to learn from, each class among them, and photos to stop on.
        train_statistics: let batch norm follow the data in the layers that are trained (for random
            trunks); otherwise its statistics stay as they are, as suits small batches.

    Raises:
        TrunkError: when a loss is not a finite number.

    Returns:
        One record an epoch: epoch, train_loss (not for epoch 0, the fitted read-out alone), calibration_loss,
        calibration_accuracy (mean over classes).
    """
    torch.manual_seed(config.seed)
    for module in (trunk, head):
        module.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)
    frozen, stage = split_network(trunk, head, config.strategy, train.images.shape[1:3])
    lessons = _Lessons(
        views=ViewCache(
            frozen, train.images, config.augmentation, views=config.views, seed=config.seed, device=device
        ),
        labels=torch.from_numpy(train.labels),
        painted=train.painted,
        held_out=activations(frozen, calibration.images, device),
        truth=torch.from_numpy(calibration.labels),
        device=device,
    )
    n_views = min(config.readout_views, lessons.views.views, config.readout_samples // len(train.labels))
    _fit_readout(stage, lessons, max(1, n_views), progress)
    history = [{"epoch": 0, **_judge(stage, lessons)}]
    groups = _parameter_groups(trunk, head, config)
    if groups:
        history += _descend(stage, groups, lessons, config, history[0], train_statistics, progress)
    for module in (trunk, head):
        module.eval().requires_grad_(False)
    return history


@torch.inference_mode()
def _fit_readout(stage: Stage, lessons: _Lessons, n_views: int, progress: bool) -> None:
    photos = torch.arange(len(lessons.labels))

    def features(activations: Tensor) -> Tensor:
        return stage.features(_to_network(activations, lessons.device)).float().cpu()

    seen = []
    for view in track(range(n_views), "Fitting the read-out", enabled=progress):
        for part in torch.split(photos, 32):
            seen.append(features(lessons.views.take(part, torch.full_like(part, view))))
    judged = torch.cat([features(part) for part in torch.split(lessons.held_out, 32)])
    painted = None if lessons.painted is None else np.tile(lessons.painted, n_views)
    labels = lessons.labels.repeat(n_views)
    fit_readout(stage.fc, torch.cat(seen), labels, judged, lessons.truth, painted)


def _descend(
    stage: Stage,
    groups: list[dict[str, Any]],
    lessons: _Lessons,
    config: FinetuneConfig,
    start: dict[str, float],
    train_statistics: bool,
    progress: bool,
) -> list[dict[str, float]]:
    """Move the groups' weights by gradient descent, and end with the best epoch's, or as they were."""
    for group in groups:
        for parameter in group["params"]:
            parameter.requires_grad_(True)
    per_epoch = min(config.epoch_samples, max(len(lessons.labels), 4 * config.batch))
    steps = math.ceil(per_epoch / config.batch)
    optimiser = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _warmup_cosine(config.epochs * steps))
    generator = torch.Generator().manual_seed(config.seed)
    best = _Best(stage)
    best.waited_after(start["calibration_loss"])
    history = []
    for epoch in track(range(1, config.epochs + 1), "Fine-tuning", enabled=progress):
        stage.train(train_statistics)
        losses = []
        for photos in _balanced_batches(lessons, steps, config.batch, generator):
            views = torch.randint(lessons.views.views, photos.shape, generator=generator)
            logits = stage(_to_network(lessons.views.take(photos, views), lessons.device))
            target = lessons.labels[photos].to(lessons.device)
            loss = F.cross_entropy(logits, target, label_smoothing=config.label_smoothing)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        if not np.isfinite(losses).all():
            raise TrunkError(
                "Fine-tuning gave losses that are not finite numbers.",
                "Check the trunk's weights, or fine-tune less: --finetune head.",
            )
        stage.eval()
        history.append({"epoch": epoch, "train_loss": float(np.mean(losses)), **_judge(stage, lessons)})
        if best.waited_after(history[-1]["calibration_loss"]) >= config.patience:
            break
    best.restore()
    return history


class _Best:
    """Keeps the weights of the epoch with the lowest held-out loss."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._state = copy.deepcopy(network.state_dict())
        self._loss = math.inf
        self._waited = 0

    def waited_after(self, loss: float) -> int:
        """Take note of an epoch's loss; return how many epochs have gone by without a better one."""
        if loss < self._loss:
            self._loss, self._waited = loss, 0
            self._state = copy.deepcopy(self._network.state_dict())
        else:
            self._waited += 1
        return self._waited

    def restore(self) -> None:
        self._network.load_state_dict(self._state)


def _parameter_groups(trunk: Trunk, head: Head, config: FinetuneConfig) -> list[dict[str, Any]]:
    """What gradient descent moves, and how fast; empty where the fitted read-out is all."""
    if config.strategy == "head" or (config.strategy == "layer4" and head.layer4 is None):
        return []
    groups: list[tuple[nn.Module, float]] = [(head, 1.0)]
    if config.strategy == "discriminative":
        layers = [trunk.layer3, trunk.layer2, trunk.layer1, trunk.stem]
        groups += [(layer, 0.4**depth) for depth, layer in enumerate(layers, start=1)]
    elif config.strategy == "full":
        groups.append((trunk, 1.0))
    return [
        {"params": list(module.parameters()), "lr": config.learning_rate * factor}
        for module, factor in groups
    ]


def _warmup_cosine(total: int) -> Callable[[int], float]:
    warmup = max(1, total // 10)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))

    return factor


def _balanced_batches(
    lessons: _Lessons, steps: int, batch: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """Draw photo indices: half of them clean, the other half shared alike by the defect classes."""
    weights = torch.from_numpy(balanced_weights(lessons.labels.numpy(), lessons.painted))
    for _ in range(steps):
        yield torch.multinomial(weights, batch, replacement=True, generator=generator)


def _to_network(activations: Tensor, device: str) -> Tensor:
    moved = activations.to(device)
    if moved.dtype == torch.uint8:
        return moved
    return moved.float()


@torch.inference_mode()
def _judge(stage: Stage, lessons: _Lessons) -> dict[str, float]:
    """Cross-entropy and accuracy on held-out photos, every class counting alike."""
    parts = torch.split(lessons.held_out, 32)
    logits = torch.cat([stage(_to_network(part, lessons.device)).cpu() for part in parts])
    losses = F.cross_entropy(logits, lessons.truth, reduction="none")
    right = (logits.argmax(dim=1) == lessons.truth).float()
    members = [lessons.truth == c for c in torch.unique(lessons.truth)]
    return {
        "calibration_loss": torch.stack([losses[those].mean() for those in members]).mean().item(),
        "calibration_accuracy": torch.stack([right[those].mean() for those in members]).mean().item(),
    }
