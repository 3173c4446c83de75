"""The network under training, its averaged copy, and one step of it."""

import copy
import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import resnet50

from models.errors import UsageError
from models.networks.resnet import Trunk, build_resnet50
from training.batch_norm import settle
from training.pretrain.config import PretrainConfig
from training.pretrain.filters import first_filters
from training.pretrain.finish import balance, settling_pictures
from training.pretrain.objective import ReadOuts, judge
from training.pretrain.source import Batch
from training.trunk import load_trunk

_WEIGHT_DECAY = 0.03


class Learner:
    """Trunk and read-outs with their optimiser.

    On a CPU each part of a step runs on a thread of its own with a single core: convolutions that are spread
    over cores wait for the slowest one at every layer, which costs half of the speed on a busy machine.
    """

    def __init__(self, config: PretrainConfig) -> None:
        self.config = config
        torch.manual_seed(config.seed)
        trunk, self.begun_with = _first_weights(config)
        self.trunk = trunk.to(config.device).to(memory_format=torch.channels_last).train()
        self.read_outs = (
            ReadOuts(config.classes, with_places=config.views > 1)
            .to(config.device)
            .to(memory_format=torch.channels_last)
        )
        self.average = copy.deepcopy(self.trunk).eval().requires_grad_(False)
        workers = 1 if config.device == "cuda" else os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
        self._weights = [*self.trunk.parameters(), *self.read_outs.parameters()]
        self._optimiser = torch.optim.AdamW(
            _groups(self._weights), lr=config.learning_rate, betas=(0.9, 0.98)
        )
        self._steps = 0
        self._bfloat16 = config.device == "cuda" or self._pool.submit(bfloat16_pays).result()

    def step(self, parts: Sequence[Batch], share: float) -> dict[str, float]:
        """Learn from the parts of one step; `share` of the training is done. Returns the mean figures."""
        results = list(self._pool.map(self._gradients, parts))
        for index, weight in enumerate(self._weights):
            weight.grad = torch.stack([gradients[index] for gradients, _ in results]).mean(dim=0)
        for group in self._optimiser.param_groups:
            group["lr"] = self.config.learning_rate * self.config.rate_factor(share)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        self._steps += 1
        self._update_average()
        names = results[0][1]
        return {name: float(np.mean([figures[name] for _, figures in results])) for name in names}

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs."""
        return {
            "trunk": self.trunk.state_dict(),
            "read_outs": self.read_outs.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "steps": self._steps,
            "begun_with": self.begun_with,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`.

        Raises:
            UsageError: when it is of another Glint's pretraining.
        """
        if "begun_with" not in state:
            raise UsageError("The checkpoint is of another Glint.", "Start anew, in another folder.")
        self.begun_with = state["begun_with"]
        self.trunk.load_state_dict(state["trunk"])
        self.read_outs.load_state_dict(state["read_outs"])
        self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._steps = state["steps"]

    def _gradients(self, batch: Batch) -> tuple[tuple[Tensor, ...], dict[str, float]]:
        images = torch.from_numpy(batch.images).to(self.config.device)
        with torch.autocast(self.config.device, dtype=torch.bfloat16, enabled=self._bfloat16):
            logits = self.read_outs(*self.trunk(images))
        judgement = judge(logits, batch)
        return torch.autograd.grad(judgement.loss, self._weights), judgement.figures

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.config.ema_decay, (1 + self._steps) / (10 + self._steps))
        pairs = zip(_tensors(self.average), _tensors(self.trunk), strict=True)
        for mean, value in pairs:
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)


def bfloat16_pays() -> bool:
    """Whether this CPU convolves faster in bfloat16; without instructions for it, four times slower."""
    with torch.random.fork_rng():
        convolution = nn.Conv2d(128, 128, 3, padding=1).to(memory_format=torch.channels_last)
    images = torch.ones(4, 128, 12, 12).to(memory_format=torch.channels_last)
    seconds = {False: math.inf, True: math.inf}
    for _ in range(3):
        for enabled in seconds:
            started = time.perf_counter()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
                convolution(images).float().sum().backward()
            seconds[enabled] = min(seconds[enabled], time.perf_counter() - started)
    return seconds[True] < seconds[False]


def _first_weights(config: PretrainConfig) -> tuple[Trunk, str]:
    """The trunk as training begins, and where its weights come from."""
    if config.trunk in (None, "none"):
        trunk = Trunk(resnet50(weights=None))
        with torch.no_grad():
            trunk.stem.get_submodule("conv1").get_parameter("weight").copy_(first_filters())
        return trunk, "random weights"
    weights = load_trunk(config.trunk)
    trunk, _ = build_resnet50(1, weights.state)
    # A finished trunk's layers are scaled for PaDiM; steps are made for layers of one scale.
    pictures = settling_pictures(config.seed, config.settle_size)
    settle(trunk, trunk, pictures)
    balance(trunk.eval(), pictures, (1.0, 1.0, 1.0))
    given = weights.provenance
    return trunk, f"{given.name} ({given.licence}; sha256 {given.sha256})"


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _groups(weights: list[nn.Parameter]) -> list[dict[str, Any]]:
    """Weights of one dimension (batch norm, biases) are not pulled towards 0."""
    return [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": _WEIGHT_DECAY},
        {"params": [w for w in weights if w.ndim == 1], "weight_decay": 0.0},
    ]
