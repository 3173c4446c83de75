"""Fine-tuning ResNet50 to the clean class and the defect classes.

Whatever stays frozen is run once for each photo and each augmented view of it that is drawn; its
activations are kept, and only the rest of the network is trained on them.
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.errors import TrunkError
from models.networks.resnet import Head, Trunk
from training.augmentation import Augmentation
from training.progress import track
from training.views import LabelledImages, ViewCache, activations

Strategy = Literal["head", "layer4", "discriminative", "full"]


@dataclass(frozen=True)
class FinetuneConfig:
    """How the classifier is fine-tuned.

    Attributes:
        strategy: `head` trains the read-out, `layer4` also layer4, `discriminative` every layer with
            learning rates that fall towards the input, `full` every layer alike.
        epochs: at most; early stopping usually ends sooner.
        patience: epochs without a better calibration loss before stopping.
        epoch_samples: views drawn per epoch at most, half of them clean.
        views: views per photo that are drawn from: the photo itself and augmented ones.
        learning_rate: of the read-out; AdamW, warm-up over the first tenth, then cosine.
    """

    strategy: Strategy = "layer4"
    epochs: int = 20
    patience: int = 6
    batch: int = 16
    epoch_samples: int = 320
    views: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.02
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)


def finetune(
    trunk: Trunk,
    head: Head,
    train: LabelledImages,
    calibration: LabelledImages,
    config: FinetuneConfig,
    *,
    train_statistics: bool = False,
    new_layer4: bool = False,
    device: str = "cpu",
    progress: bool = True,
) -> list[dict[str, float]]:
    """Fine-tune in place and leave both modules in evaluation mode with the best epoch's weights.

    Args:
        trunk, head: the network; which of their weights move is the strategy's choice.
        train, calibration: photos to learn from, and photos to stop on.
        train_statistics: let batch norm follow the data in the layers that are trained (for random
            trunks); otherwise its statistics stay as they are, as suits small batches.
        new_layer4: layer4 starts from random weights: it learns as fast as the read-out, and its batch norm
            follows the data.

    Raises:
        TrunkError: when a loss is not a finite number.

    Returns:
        One record an epoch: epoch, train_loss, calibration_loss, calibration_accuracy (mean over classes).
    """
    torch.manual_seed(config.seed)
    frozen, trained = _split_network(trunk, head, config.strategy)
    trunk.to(device).to(memory_format=torch.channels_last).requires_grad_(False)
    head.to(device).to(memory_format=torch.channels_last).requires_grad_(False)
    network = nn.Sequential(*trained)
    groups = _parameter_groups(trunk, head, config, new_layer4)
    network.requires_grad_(True)

    cache = ViewCache(
        frozen, train.images, config.augmentation, views=config.views, seed=config.seed, device=device
    )
    held_out = activations(frozen, calibration.images, device)
    labels, calibration_labels = torch.from_numpy(train.labels), torch.from_numpy(calibration.labels)
    per_epoch = min(config.epoch_samples, max(len(labels), 4 * config.batch))
    steps = math.ceil(per_epoch / config.batch)
    optimiser = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _warmup_cosine(config.epochs * steps))
    generator = torch.Generator().manual_seed(config.seed)

    history: list[dict[str, float]] = []
    best = _Best(network)
    for epoch in track(range(1, config.epochs + 1), "Fine-tuning", enabled=progress):
        network.train(train_statistics)
        head.train(train_statistics or (new_layer4 and config.strategy != "head"))
        losses = []
        for photos in _balanced_batches(labels, steps, config.batch, generator):
            views = torch.randint(cache.views, photos.shape, generator=generator)
            logits = network(_to_network(cache.take(photos, views), device))
            target = labels[photos].to(device)
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
        network.eval()
        held_out_loss, accuracy = _judge(network, held_out, calibration_labels, device)
        history.append(
            {
                "epoch": epoch,
                "train_loss": float(np.mean(losses)),
                "calibration_loss": held_out_loss,
                "calibration_accuracy": accuracy,
            }
        )
        if best.waited_after(held_out_loss) >= config.patience:
            break
    best.restore()
    trunk.eval().requires_grad_(False)
    head.eval().requires_grad_(False)
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


class _Pool(nn.Module):
    """layer3 to pooled layer4 features: the frozen part of the `head` strategy."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, layer3: Tensor) -> Tensor:
        return self.head.pool(layer3)


class _LastLayer(nn.Module):
    """The trunk, giving layer3 alone."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, image: Tensor) -> Tensor:
        layer3: Tensor = self.trunk(image)[2]
        return layer3


def _split_network(trunk: Trunk, head: Head, strategy: Strategy) -> tuple[nn.Module | None, list[nn.Module]]:
    """The part to run once (None: nothing is frozen) and the modules to train, in order."""
    if strategy == "head":
        return nn.Sequential(_LastLayer(trunk), _Pool(head)), [head.fc]
    if strategy == "layer4":
        return _LastLayer(trunk), [head]
    return None, [_LastLayer(trunk), head]


def _parameter_groups(
    trunk: Trunk, head: Head, config: FinetuneConfig, new_layer4: bool
) -> list[dict[str, Any]]:
    # The read-out is new and learns fast; what is pretrained moves a tenth as fast or slower.
    groups: list[tuple[nn.Module, float]] = [(head.fc, 1.0)]
    if config.strategy != "head":
        groups.append((head.layer4, 1.0 if new_layer4 else 0.1))
    if config.strategy == "discriminative":
        layers = [trunk.layer3, trunk.layer2, trunk.layer1, trunk.stem]
        groups += [(layer, 0.1 * 0.4**depth) for depth, layer in enumerate(layers, start=1)]
    elif config.strategy == "full":
        groups.append((trunk, 0.1))
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


def _balanced_batches(labels: Tensor, steps: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Draw photo indices: half of them clean, the other half shared alike by the defect classes."""
    counts = torch.bincount(labels).double()
    share = torch.where(counts > 0, 0.5 / max(1, int((counts[1:] > 0).sum())), 0.0)
    share[0] = 0.5
    weights = (share / counts.clamp(min=1))[labels]
    for _ in range(steps):
        yield torch.multinomial(weights, batch, replacement=True, generator=generator)


def _to_network(activations: Tensor, device: str) -> Tensor:
    moved = activations.to(device)
    if moved.dtype == torch.uint8:
        return moved
    moved = moved.float()
    return moved.contiguous(memory_format=torch.channels_last) if moved.ndim == 4 else moved


@torch.inference_mode()
def _judge(network: nn.Module, held_out: Tensor, labels: Tensor, device: str) -> tuple[float, float]:
    """Cross-entropy and accuracy on held-out photos, every class counting alike."""
    logits = torch.cat([network(_to_network(part, device)).cpu() for part in torch.split(held_out, 32)])
    losses = F.cross_entropy(logits, labels, reduction="none")
    right = (logits.argmax(dim=1) == labels).float()
    classes = torch.unique(labels)
    loss = torch.stack([losses[labels == c].mean() for c in classes]).mean()
    accuracy = torch.stack([right[labels == c].mean() for c in classes]).mean()
    return loss.item(), accuracy.item()
