"""Fits the mixture of `free_padim` in one pass over the photos, in memory that does not grow with them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.networks.free_padim import FreePadim, surroundings
from models.networks.padim import Embedding, projection_matrix, unusable_trunk
from models.networks.padim_config import PadimConfig
from models.networks.reservoir import Reservoir

# Gaussians at most. Twice as many gain little and cost as much again.
MOST_COMPONENTS = 64
# What is added to the diagonal: each has hundreds of patches, however few the photos.
RIDGE = 0.01

# What is kept of all patches, at most; the fit takes twice as much. At 100 dims 100,000: 1,600 a component.
_SAMPLE_BYTES = 40_000_000
# k-means (Lloyd, 1982) finds the components on so many of them, in so many rounds.
_CLUSTERED = 40_000
_ROUNDS = 10
# A component needs so many patches for each dimension, or there are fewer components.
_PATCHES_PER_DIM = 2
# Each covariance is shrunk towards the mean of all as if that had been seen in so many patches a dimension.
_SHRINKAGE = 0.3
_AT_ONCE = 4096  # patches


class FreePadimFit:
    """Takes photos in as `PadimFit` does, and fits components to a seeded sample of their patches."""

    def __init__(self, config: PadimConfig) -> None:
        self.config = config
        self.ridge = RIDGE if config.regularisation is None else config.regularisation
        self.embedding = Embedding(projection_matrix(config), config.stride).eval()
        self.count = 0
        self._sample = Reservoir(max(1, _SAMPLE_BYTES // (4 * config.dims)), config.seed)

    @torch.no_grad()
    def add(self, layers: Sequence[Tensor]) -> None:
        """Take in one batch of good photos, as layers of the trunk."""
        self.embedding.prepare(layers, normalise=self.config.normalise)
        for photo in zip(*(torch.split(layer, 1) for layer in layers), strict=True):
            embedded = surroundings(self.embedding(photo))
            self._sample.add(embedded.flatten(2)[0].T.float())
        self.count += len(layers[0])

    @torch.no_grad()
    def finish(self) -> FreePadim:
        """Return the fitted model.

        Raises:
            ValueError: with fewer than two photos.
            TrunkError: when the trunk's features are not finite, or too large for float32.
        """
        if self.count < 2:
            raise ValueError(f"PaDiM needs at least 2 photos, not {self.count}")
        x = self._sample.rows()
        origin = x.mean(dim=0)
        x -= origin
        if not bool(torch.isfinite(x.square().sum())):
            raise unusable_trunk()
        members = _cluster(x, min(MOST_COMPONENTS, max(1, len(x) // (_PATCHES_PER_DIM * x.shape[1]))))
        means, scatters, counts = _sums(x, members)
        within = scatters.sum(dim=0) / counts.sum()
        seen = _SHRINKAGE * x.shape[1]
        ridge = self.ridge * torch.eye(x.shape[1], dtype=torch.float64)
        covariances = (scatters + seen * within) / (counts[:, None, None] + seen) + ridge
        lower, failed = torch.linalg.cholesky_ex(covariances)
        if bool(failed.any()) or not bool(torch.isfinite(lower).all()):
            raise unusable_trunk()
        identity = torch.eye(x.shape[1], dtype=torch.float64).expand_as(lower)
        whitening = torch.linalg.solve_triangular(lower.transpose(1, 2), identity, upper=True)
        spread = 2 * lower.diagonal(dim1=1, dim2=2).log().sum(dim=1)
        return FreePadim(
            self.embedding.cpu(),
            origin,
            means.float(),
            whitening.float(),
            (spread - spread.min()).float(),
            self.config.smoothing,
        ).eval()


def _cluster(x: Tensor, components: int) -> Tensor:
    """The component int64 [n] of each row of [n, d]; each component has as many rows as it needs.

    The first rows are the first centres, which serves since the rows' order is random.
    """
    sample, centres = x[:_CLUSTERED], x[:components].clone()
    for _ in range(_ROUNDS):
        members = _nearest(sample, centres)
        counts = torch.bincount(members, minlength=len(centres))
        sums = torch.zeros_like(centres).index_add_(0, members, sample)
        centres = (sums / counts[:, None])[counts > 0]
    members = _nearest(x, centres)
    large = torch.bincount(members, minlength=len(centres)) >= max(1, _PATCHES_PER_DIM * x.shape[1] // 4)
    return _nearest(x, centres[large]) if bool(large.any()) else torch.zeros_like(members)


def _nearest(x: Tensor, centres: Tensor) -> Tensor:
    half = 0.5 * centres.square().sum(dim=1)
    return torch.cat([(half - part @ centres.T).argmin(dim=1) for part in torch.split(x, _AT_ONCE)])


def _sums(x: Tensor, members: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean [K, d], scatter [K, d, d] and number [K] of each component's rows, float64."""
    means, scatters, counts = [], [], []
    for component in range(int(members.max()) + 1):
        own = x[members == component].double()
        means.append(own.mean(dim=0))
        scatters.append((own - means[-1]).T @ (own - means[-1]))
        counts.append(float(len(own)))
    return torch.stack(means), torch.stack(scatters), torch.tensor(counts, dtype=torch.float64)
