"""What PaDiM is fitted with; known without loading torch."""

from dataclasses import dataclass
from typing import Literal

Projection = Literal["orthogonal", "subset"]

RIDGE = 2.5


@dataclass(frozen=True)
class PadimConfig:
    """What PaDiM is fitted with.

    Attributes:
        dims: channels after projection, d.
        projection: `orthogonal` (seeded semi-orthogonal matrix) or `subset` (seeded choice of channels).
        stride: pixels of input per grid cell: 4, 8 or 16.
        regularisation: added to the covariance's diagonal (0.01 in the paper); None for `RIDGE` / photos,
            since what few photos leave uncertain shrinks with their number.
        normalise: bring every embedding to one length, so that contrast and exposure count for little.
        smoothing: standard deviation of the Gaussian that smooths the map, in input pixels; 0 for none.
        seed: of the projection, and of the sample that a mixture is fitted to.
    """

    dims: int = 100
    projection: Projection = "orthogonal"
    stride: int = 8
    regularisation: float | None = None
    normalise: bool = False
    smoothing: float = 8.0
    seed: int = 0

    def ridge(self, photos: int) -> float:
        """What is added to the diagonal of covariances over so many photos."""
        return RIDGE / photos if self.regularisation is None else self.regularisation
