"""PaDiM: one Gaussian per grid position over the features of good parts.

Defard et al., PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and Localization,
ICPR 2021, with changes, each selectable: channels are mixed by a semi-orthogonal projection
instead of a random choice (the paper's stays as `subset`), the grid is layer2's (stride 8) instead of
layer1's, and the map is smoothed on the grid. The fewer the photos, the more is added to the covariances.
"""

import math
from collections.abc import Sequence
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.errors import TrunkError
from models.networks.blocks import block_columns
from models.networks.padim_config import PadimConfig
from models.networks.resnet import LAYER_CHANNELS, LAYER_STRIDES
from models.networks.triangular import inverse_factors, zero_blocks

# Small, so that what the fit works with is small beside what it makes.
_EMBEDDED_AT_ONCE = 2  # photos
_INVERTED_AT_ONCE = 56  # grid positions


def projection_matrix(config: PadimConfig) -> Tensor:
    """The seeded projection, float32 [1792, d]: orthonormal columns, or one 1 in each column."""
    channels = sum(LAYER_CHANNELS)
    if not 1 <= config.dims <= channels:
        raise ValueError(f"dims must be 1..{channels}, not {config.dims}")
    generator = torch.Generator().manual_seed(config.seed)
    if config.projection == "subset":
        chosen = torch.randperm(channels, generator=generator)[: config.dims]
        return subset_matrix(chosen.tolist())
    gaussian = torch.randn(channels, config.dims, generator=generator, dtype=torch.float64)
    basis: Tensor = torch.linalg.qr(gaussian).Q
    return basis.float()


def unusable_trunk() -> TrunkError:
    """What is raised where covariances of the trunk's features have no inverse."""
    return TrunkError(
        "PaDiM cannot be fitted: the trunk's features are not finite, or far too large.",
        "Check the trunk's weights, or use another trunk (--trunk).",
    )


def subset_matrix(channels: Sequence[int]) -> Tensor:
    """The projection float32 [1792, d] that picks these channels."""
    matrix = torch.zeros(sum(LAYER_CHANNELS), len(channels))
    matrix[list(channels), torch.arange(len(channels))] = 1.0
    return matrix


class Embedding(nn.Module):
    """Project layer1-3 to d channels on one grid.

    Projection commutes with nearest upsampling and with average pooling, so it is done where
    it costs least: after pooling, before upsampling.
    """

    def __init__(self, matrix: Tensor, stride: int, length: float | None = None) -> None:
        """`matrix` float32 [1792, d]; `length` is what embeddings are brought to, None leaves them."""
        super().__init__()
        if stride not in LAYER_STRIDES:
            raise ValueError(f"the grid's stride must be one of {LAYER_STRIDES}, not {stride}")
        self.stride = stride
        self.length = length
        self.dims = matrix.shape[1]
        self.projections = nn.ModuleList()
        for block in torch.split(matrix, list(LAYER_CHANNELS)):
            convolution = nn.Conv2d(block.shape[0], self.dims, kernel_size=1, bias=False)
            convolution.weight = nn.Parameter(block.T[:, :, None, None].clone(), requires_grad=False)
            self.projections.append(convolution)

    def prepare(self, layers: Sequence[Tensor], *, normalise: bool) -> None:
        """Move to where the layers are; with `normalise`, bring embeddings to the length they have here.

        About the length they have without, so that what is added to a covariance's diagonal weighs the same.
        It stays as the first layers made it.
        """
        self.to(layers[0].device)
        if normalise and self.length is None:
            self.length = float(self(layers).norm(dim=1).mean())

    def forward(self, layers: Sequence[Tensor]) -> Tensor:
        """Layers as `Trunk` gives them to float32 [N, d, H/stride, W/stride]."""
        parts = []
        for layer, stride, project in zip(layers, LAYER_STRIDES, self.projections, strict=True):
            if stride < self.stride:
                parts.append(project(_pooled(layer, self.stride // stride)))
            elif stride > self.stride:
                scale = float(stride // self.stride)
                parts.append(F.interpolate(project(layer), scale_factor=scale, mode="nearest"))
            else:
                parts.append(project(layer))
        whole = torch.stack(parts).sum(dim=0)
        return whole if self.length is None else F.normalize(whole, dim=1) * self.length


def _pooled(layer: Tensor, factor: int) -> Tensor:
    """Means of factor x factor cells. `avg_pool2d` takes five times as long on a CPU."""
    if torch.compiler.is_exporting():
        return F.avg_pool2d(layer, factor)
    rows = reduce(torch.add, [layer[:, :, offset::factor] for offset in range(factor)])
    return reduce(torch.add, [rows[..., offset::factor] for offset in range(factor)]) / factor**2


class Smoothing(nn.Module):
    """Separable Gaussian smoothing of maps [N, h, w]; the border is repeated outwards."""

    kernel: Tensor

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.radius = math.ceil(3.0 * sigma)
        offsets = torch.arange(-self.radius, self.radius + 1, dtype=torch.float64)
        weights = torch.exp(-0.5 * (offsets / max(sigma, 1e-6)) ** 2)
        self.register_buffer("kernel", (weights / weights.sum()).float())

    def forward(self, maps: Tensor) -> Tensor:
        if self.radius == 0:
            return maps
        margin = [self.radius] * 4
        padded = F.pad(maps[:, None], margin, mode="replicate")
        rows = F.conv2d(padded, self.kernel.view(1, 1, 1, -1))
        return F.conv2d(rows, self.kernel.view(1, 1, -1, 1))[:, 0]


class Padim(nn.Module):
    """A fitted PaDiM: layers of the trunk to anomaly map [N, h, w] and anomaly score [N].

    Buffers: `mean` [P, d] and the blocks of `whitening` [P, d, d] over the P = h * w grid positions, with
    distance(x) = || (x - mean) whitening ||, whitening = L^-T for covariance = L L^T
    (the Mahalanobis distance of the paper's equation 2). Reading the whitening matrices is most of what
    PaDiM costs for a single photo; they are upper triangular, and only that part is kept.
    """

    mean: Tensor

    def __init__(
        self, embedding: Embedding, mean: Tensor, whitening: Sequence[Tensor], smoothing: float
    ) -> None:
        """`whitening` in blocks; the other arguments as `PadimConfig` and the class describe them."""
        super().__init__()
        self.embedding = embedding
        self.smooth = Smoothing(smoothing / embedding.stride)
        self.register_buffer("mean", mean)
        for number, block in enumerate(whitening):
            self.register_buffer(f"whitening_{number}", block)

    @property
    def whitening(self) -> list[Tensor]:
        """The blocks of the whitening matrices."""
        return [self.get_buffer(f"whitening_{n}") for n in range(len(block_columns(self.embedding.dims)))]

    def distances(self, layers: Sequence[Tensor]) -> Tensor:
        """Mahalanobis distances on the grid, [N, h, w], not smoothed."""
        embedding = self.embedding(layers)
        height, width = embedding.shape[2:]
        residual = embedding.flatten(2).permute(2, 0, 1) - self.mean[:, None]
        # A block's columns see as many leading channels as the block has rows.
        whitened = [torch.matmul(residual[:, :, : block.shape[1]], block) for block in self.whitening]
        squared = torch.cat(whitened, dim=2).square().sum(dim=2)
        return squared.sqrt().T.reshape(-1, height, width)

    def forward(self, layers: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        anomaly_map = self.smooth(self.distances(layers))
        return anomaly_map, anomaly_map.amax(dim=(1, 2))


class PadimFit:
    """Fits PaDiM in one streaming pass: memory does not grow with the number of photos.

    Sums are of residuals from the first batch's mean, so that small variances beside a large mean survive the
    subtraction. Of the symmetric sums only the upper blocks are kept; they become the whitening matrices in
    place: at its peak the fit holds about half a d x d matrix per position.
    """

    def __init__(self, config: PadimConfig) -> None:
        self.config = config
        self.embedding = Embedding(projection_matrix(config), config.stride).eval()
        self.count = 0
        self._origin: Tensor | None = None
        self._sum = torch.empty(0)
        self._outer: list[Tensor] = []

    @torch.no_grad()
    def add(self, layers: Sequence[Tensor]) -> None:
        """Take in one batch of good photos, as layers of the trunk."""
        self.embedding.prepare(layers, normalise=self.config.normalise)
        x = self._embed(layers)
        if self._origin is None:
            positions, _, dims = x.shape
            self._origin = x.mean(dim=1, keepdim=True)
            self._sum = torch.zeros(positions, dims, dtype=torch.float64, device=x.device)
            self._outer = zero_blocks(positions, dims, x.device)
        x -= self._origin
        self.count += x.shape[1]
        self._sum += x.sum(dim=1)
        for columns, outer in zip(block_columns(x.shape[2]), self._outer, strict=True):
            outer.baddbmm_(x[:, :, : columns.stop].transpose(1, 2), x[:, :, columns])

    def _embed(self, layers: Sequence[Tensor]) -> Tensor:
        """Embedding float32 [P, N, d], a few photos at a time: its steps take several times as much."""
        parts = zip(*(torch.split(layer, _EMBEDDED_AT_ONCE) for layer in layers), strict=True)
        whole = torch.empty(0)
        for index, part in enumerate(parts):
            embedded = self.embedding(part).flatten(2).permute(2, 0, 1)
            if index == 0:
                positions, _, dims = embedded.shape
                whole = embedded.new_empty(positions, len(layers[0]), dims, dtype=torch.float32)
            whole[:, index * _EMBEDDED_AT_ONCE :][:, : embedded.shape[1]] = embedded
        return whole

    @torch.no_grad()
    def finish(self) -> Padim:
        """Return the fitted model; the sums are used up.

        Raises:
            ValueError: with fewer than two photos, or when called again.
            TrunkError: when the trunk's features are not finite, or too large for float32.
        """
        if self._origin is None or self.count < 2:
            raise ValueError(f"PaDiM needs at least 2 photos, not {self.count}")
        offset = self._sum / self.count
        mean = (self._origin[:, 0].double() + offset).float()
        whitening, self._outer = self._outer, []
        groups = zip(*(torch.split(block, _INVERTED_AT_ONCE) for block in whitening), strict=True)
        for group, offsets in zip(groups, torch.split(offset, _INVERTED_AT_ONCE), strict=True):
            try:
                inverse = inverse_factors(self._covariance(group, offsets))
            except ArithmeticError as error:
                raise unusable_trunk() from error
            for block, finished in zip(group, inverse, strict=True):
                block.copy_(finished)
        self._origin, self.count = None, 0
        return Padim(self.embedding, mean, whitening, self.config.smoothing).eval()

    def _covariance(self, sums: Sequence[Tensor], offset: Tensor) -> list[Tensor]:
        """Blocks of the covariance, float64, from those of the sums around `offset`, [P, d]."""
        scale = 1.0 / (self.count - 1)
        found = []
        for columns, block in zip(block_columns(offset.shape[1]), sums, strict=True):
            rows, own = offset[:, : columns.stop, None], offset[:, None, columns]
            covariance = torch.baddbmm(block.double(), rows, own, beta=scale, alpha=-scale * self.count)
            covariance.diagonal(-columns.start, 1, 2).add_(self.config.ridge(self.count))
            found.append(covariance)
        return found
