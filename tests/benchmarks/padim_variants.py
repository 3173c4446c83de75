"""PaDiM in variants for `padim_choices`: how Gaussians are fitted, and how a score is read off the map."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from models.networks.padim import Embedding, Smoothing, projection_matrix
from models.networks.padim_config import PadimConfig
from models.networks.resnet import LAYER_CHANNELS

_POSITIONS_AT_ONCE = 32
_LENGTH = 8.0

# Covariances float32 [P, d, d] of n photos to what is inverted, before anything is added to the diagonal.
Regularise = Callable[[Tensor, int], Tensor]


@dataclass(frozen=True)
class Fit:
    """How the Gaussians are fitted.

    Attributes:
        layers: which of layer1-3 are used.
        regularise: what is done to the covariances.
        neighbours: each patch may belong to any Gaussian up to so many cells away.
        one_length: bring each patch's embedding to the same length, so that contrast counts for little.
        trimmed: share of the training photos with the largest scores that is left out of a second fit.
    """

    name: str
    config: PadimConfig = field(default_factory=PadimConfig)
    layers: tuple[int, ...] = (1, 2, 3)
    regularise: Regularise | None = None
    neighbours: int = 0
    one_length: bool = False
    trimmed: float = 0.0


@dataclass(frozen=True)
class Reading:
    """How a score is read off the distances.

    Attributes:
        smoothing: standard deviation in input pixels; None for the default.
        upsampled: smooth the map at the input's size instead of on the grid.
        share: mean of this share of the largest values; 0 for the largest alone.
    """

    name: str
    smoothing: float | None = None
    upsampled: bool = False
    share: float = 0.0


def _towards_mean(share: float) -> Regularise:
    """Shrink each covariance towards the mean one."""
    return lambda covariance, n: (1 - share) * covariance + share * covariance.mean(dim=0, keepdim=True)


def _relative(share: float) -> Regularise:
    """Add a share of each covariance's own mean variance to its diagonal."""

    def add(covariance: Tensor, n: int) -> Tensor:
        level = covariance.diagonal(dim1=1, dim2=2).mean(dim=1)
        return covariance + share * level[:, None, None] * torch.eye(covariance.shape[1])

    return add


def _oracle_approximating(covariance: Tensor, n: int) -> Tensor:
    """Shrink towards a multiple of the identity by the data's own measure.

    Chen, Wiesel, Eldar, Hero: Shrinkage Algorithms for MMSE Covariance Estimation, IEEE Transactions on
    Signal Processing 2010, equation 23. Unlike Ledoit and Wolf's it needs the covariance alone.
    """
    d = covariance.shape[1]
    trace = covariance.diagonal(dim1=1, dim2=2).sum(dim=1)
    square = covariance.square().sum(dim=(1, 2))
    numerator = (1 - 2 / d) * square + trace**2
    shrinkage = (numerator / ((n + 1 - 2 / d) * (square - trace**2 / d))).clamp(0, 1)[:, None, None]
    return (1 - shrinkage) * covariance + shrinkage * (trace / d)[:, None, None] * torch.eye(d)


_CONFIG = PadimConfig()
FITS = (
    Fit("the defaults"),
    Fit("d = 50", PadimConfig(dims=50)),
    Fit("d = 200", PadimConfig(dims=200)),
    Fit("d = 300", PadimConfig(dims=300)),
    Fit("channels picked at random, as in the paper", PadimConfig(projection="subset")),
    Fit("a cell for 4 px", PadimConfig(stride=4)),
    Fit("a cell for 16 px", PadimConfig(stride=16)),
    Fit("layer1 and layer2", layers=(1, 2)),
    Fit("layer2 and layer3", layers=(2, 3)),
    Fit("0.001 on the diagonal", PadimConfig(regularisation=0.001)),
    Fit("0.01 on the diagonal, as in the paper", PadimConfig(regularisation=0.01)),
    Fit("0.1 on the diagonal", PadimConfig(regularisation=0.1)),
    Fit("10 % of the mean variance on the diagonal", regularise=_relative(0.1)),
    Fit("covariance shrunk by the data's own measure (OAS)", regularise=_oracle_approximating),
    Fit("covariance 20 % towards the mean one", regularise=_towards_mean(0.2)),
    Fit("embeddings brought to one length", one_length=True),
    Fit("any Gaussian up to one cell away", neighbours=1),
    Fit("the strangest 5 % of training photos left out", trimmed=0.05),
)
READINGS = (
    Reading("largest"),
    Reading("mean of the largest 0.5 %", share=0.005),
    Reading("mean of the largest 1 %", share=0.01),
    Reading("mean of the largest 3 %", share=0.03),
    Reading("not smoothed", smoothing=0.0),
    Reading("smoothed by 4 px", smoothing=4.0),
    Reading("smoothed by 12 px", smoothing=12.0),
    Reading("smoothed by 16 px", smoothing=16.0),
    Reading("smoothed by 8 px at the input's size", upsampled=True),
)


@torch.inference_mode()
def distances(fit: Fit, good: Iterable[Sequence[Tensor]], test: Iterable[Sequence[Tensor]]) -> Tensor:
    """Distances float32 [N, h, w] of the test photos on the grid, fitted on the good ones."""
    embedding = _embedding(fit)
    train = torch.cat([embedding(layers) for layers in good])
    gaussians = _fitted(train, fit)
    if fit.trimmed:
        own = score(_measured(train, gaussians, 0), READINGS[0], fit.config)
        train = train[own.argsort()[: len(own) - round(fit.trimmed * len(own))]]
        gaussians = _fitted(train, fit)
    del train
    return torch.cat([_measured(embedding(layers), gaussians, fit.neighbours) for layers in test])


def score(found: Tensor, reading: Reading, config: PadimConfig) -> Tensor:
    """One value a photo [N] of its distances [N, h, w]."""
    sigma = config.smoothing if reading.smoothing is None else reading.smoothing
    if reading.upsampled:
        found = F.interpolate(found[:, None], scale_factor=float(config.stride), mode="bilinear")[:, 0]
    smooth = Smoothing(sigma if reading.upsampled else sigma / config.stride)
    values = smooth(found).flatten(1)
    if not reading.share:
        return values.amax(dim=1)
    return values.topk(max(1, round(reading.share * values.shape[1])), dim=1).values.mean(dim=1)


def _embedding(fit: Fit) -> Callable[[Sequence[Tensor]], Tensor]:
    """Layers of the trunk to embeddings float32 [N, d, h, w]."""
    used = torch.cat(
        [
            torch.full((channels, 1), float(number in fit.layers))
            for number, channels in enumerate(LAYER_CHANNELS, start=1)
        ]
    )
    project = Embedding(projection_matrix(fit.config) * used, fit.config.stride)
    if not fit.one_length:
        return project
    # The length that embeddings of this network have on average: the diagonal's addition means the same.
    return lambda layers: F.normalize(project(layers), dim=1) * _LENGTH


def _fitted(x: Tensor, fit: Fit) -> tuple[Tensor, Tensor]:
    """Means [P, d] and whitening matrices [P, d, d] of embeddings [N, d, h, w]."""
    photos, dims = x.shape[:2]
    patches = x.flatten(2).permute(2, 0, 1)
    mean = patches.mean(dim=1)
    covariance = torch.empty(len(patches), dims, dims)
    for start in range(0, len(patches), _POSITIONS_AT_ONCE):
        part = slice(start, start + _POSITIONS_AT_ONCE)
        residual = patches[part] - mean[part, None]
        covariance[part] = residual.transpose(1, 2) @ residual / (photos - 1)
    if fit.regularise:
        covariance = fit.regularise(covariance, photos)
    identity = torch.eye(dims, dtype=torch.float64)
    for start in range(0, len(patches), _POSITIONS_AT_ONCE):
        part = slice(start, start + _POSITIONS_AT_ONCE)
        factor = torch.linalg.cholesky(covariance[part].double() + fit.config.ridge(photos) * identity)
        inverse = torch.linalg.solve_triangular(factor, identity.expand_as(factor), upper=False)
        covariance[part] = inverse.transpose(1, 2).float()
    return mean, covariance


def _measured(x: Tensor, gaussians: tuple[Tensor, Tensor], neighbours: int) -> Tensor:
    """Distances [N, h, w] of embeddings [N, d, h, w], each to the nearest of the Gaussians around it."""
    mean, whitening = gaussians
    height, width = x.shape[2:]
    reach = range(-neighbours, neighbours + 1)
    grid = torch.arange(height * width).reshape(height, width)
    padded = F.pad(grid[None, None].float(), [neighbours] * 4, mode="replicate")[0, 0].long()
    patches = x.flatten(2).permute(2, 0, 1)
    best = torch.full((len(patches), len(x)), torch.inf)
    for down, right in product(reach, reach):
        own = padded[neighbours + down :, neighbours + right :][:height, :width].flatten()
        for start in range(0, len(patches), _POSITIONS_AT_ONCE):
            part = slice(start, start + _POSITIONS_AT_ONCE)
            residual = patches[part] - mean[own[part], None]
            squared = (residual @ whitening[own[part]]).square().sum(dim=2)
            best[part] = torch.minimum(best[part], squared)
    return best.sqrt().T.reshape(len(x), height, width)
