"""PaDiM without places: one mixture of Gaussians over the features of all places of good parts.

For parts that turn or move in the picture, where no place shows the same thing twice. What a place looks like
is told from its surroundings as well, as PatchCore does (Roth et al., Towards Total Recall in Industrial
Anomaly Detection, CVPR 2022): the embedding is averaged over 3 x 3 cells.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.blocks import block_columns
from models.networks.padim import Embedding, Smoothing


def surroundings(embedding: Tensor) -> Tensor:
    """Each cell of [N, d, h, w] averaged with those next to it, as far as there are any."""
    return F.avg_pool2d(embedding, kernel_size=3, stride=1, padding=1, count_include_pad=False)


class FreePadim(nn.Module):
    """A fitted mixture of K Gaussians: layers of the trunk to anomaly map [N, h, w] and anomaly score [N].

    distance(x) ^ 2 = min over k of || (x - mean_k) whitening_k || ^ 2 + spread_k, with
    spread_k = log det covariance_k, less the least of them: the likeliest component's -2 log density, shifted
    so that it is never below zero. Without `spread` a wide component would take in whatever is unknown to the
    narrow ones.

    Buffers: `origin` [d], subtracted first, so that little is lost where means are large; the blocks of
    `whitening` [rows, K * columns], upper triangular as in `Padim`, the components side by side so that each
    block is one product; `offset` [K, d], the whitened means; `spread` [K].
    """

    origin: Tensor
    offset: Tensor
    spread: Tensor

    def __init__(
        self,
        embedding: Embedding,
        origin: Tensor,
        means: Tensor,
        whitening: Tensor,
        spread: Tensor,
        smoothing: float,
    ) -> None:
        """`means` [K, d] are those of x - origin, `whitening` is [K, d, d]; the rest is as the class says."""
        super().__init__()
        self.embedding = embedding
        self.smooth = Smoothing(smoothing / embedding.stride)
        self.register_buffer("origin", origin)
        self.register_buffer("offset", torch.einsum("kd,kde->ke", means, whitening))
        self.register_buffer("spread", spread)
        for number, columns in enumerate(block_columns(embedding.dims)):
            block = whitening[:, : columns.stop, columns].permute(1, 0, 2).flatten(1)
            self.register_buffer(f"whitening_{number}", block.contiguous())

    def distances(self, layers: Sequence[Tensor]) -> Tensor:
        """Distances on the grid, [N, h, w], not smoothed."""
        embedding = surroundings(self.embedding(layers))
        height, width = embedding.shape[2:]
        x = embedding.permute(0, 2, 3, 1).flatten(0, 2) - self.origin
        squared = self.spread[None]
        for number, columns in enumerate(block_columns(self.embedding.dims)):
            whitened = torch.matmul(x[:, : columns.stop], self.get_buffer(f"whitening_{number}"))
            # No length of x is named here: the exporter would take it for the only one that there is.
            residual = whitened.reshape(-1, *self.offset[:, columns].shape) - self.offset[:, columns]
            squared = squared + residual.square().sum(dim=2)
        return squared.amin(dim=1).sqrt().reshape(-1, height, width)

    def forward(self, layers: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        anomaly_map = self.smooth(self.distances(layers))
        return anomaly_map, anomaly_map.amax(dim=(1, 2))
