"""Muon for the convolutions, AdamW for the rest.

Muon (K. Jordan et al., 2024): the momentum of a weight matrix is replaced by the nearest semi-orthogonal matrix
before the step, so that all directions learn alike; it needs fewer steps than AdamW alone, which counts where
steps are dear.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_STEPS = 5


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonalised updates, for weights of two dimensions or more; `pool` shares them out."""

    def __init__(
        self, parameters: list[nn.Parameter], lr: float, pool: ThreadPoolExecutor, momentum: float = 0.95
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})
        self._pool = pool

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step; there is nothing that a closure could do here."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            for weight in weights:
                if not self.state[weight]:
                    self.state[weight]["momentum"] = torch.zeros_like(weight)
                    self.state[weight]["norm"] = weight.norm()
            list(self._pool.map(lambda weight: self._move(weight, group), weights))  # noqa: B023

    @torch.no_grad()
    def _move(self, weight: nn.Parameter, group: dict[str, Any]) -> None:
        if weight.grad is None:
            return
        momentum = self.state[weight]["momentum"]
        momentum.lerp_(weight.grad, 1 - group["momentum"])
        matrix = orthogonalise(weight.grad.lerp(momentum, group["momentum"]).flatten(1))
        tall = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
        weight.add_(matrix.reshape(weight.shape).to(weight.dtype), alpha=-group["lr"] * tall)
        # Batch norm follows each convolution: its scale has no say, but would slow down learning as it grew.
        weight.mul_(self.state[weight]["norm"] / weight.norm())


def orthogonalise(matrix: Tensor) -> Tensor:
    """About the nearest semi-orthogonal matrix to [M, N], by Newton-Schulz iteration in bfloat16."""
    a, b, c = _COEFFICIENTS
    x = matrix.bfloat16()
    turned = x.shape[0] > x.shape[1]
    if turned:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(_STEPS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if turned else x


def make_optimisers(
    trunk: nn.Module, read_outs: nn.Module, pool: ThreadPoolExecutor, *, muon_rate: float, adam_rate: float
) -> list[torch.optim.Optimizer]:
    """Muon for the trunk's convolutions but the first, AdamW for everything else.

    Read-outs sum over many more channels than the first convolution and learn at a quarter of `adam_rate`.
    """
    convolutions = [p for name, p in trunk.named_parameters() if p.ndim == 4 and "stem" not in name]
    stem = [p for name, p in trunk.named_parameters() if p.ndim == 4 and "stem" in name]
    norms = [p for p in trunk.parameters() if p.ndim == 1]
    groups = [
        {"params": stem},
        {"params": norms, "weight_decay": 0.0},
        {"params": list(read_outs.parameters()), "lr": 0.25 * adam_rate},
    ]
    return [
        Muon(convolutions, muon_rate, pool),
        torch.optim.AdamW(groups, lr=adam_rate, betas=(0.9, 0.98), weight_decay=0.02),
    ]
