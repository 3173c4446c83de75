"""What PaDiM is fitted with; known without loading torch."""

from dataclasses import dataclass
from typing import Literal

Projection = Literal["orthogonal", "subset"]

# Where good parts lie: in the same place in every photo, or anywhere.
Alignment = Literal["fixed", "free"]

RIDGE = 2.5
# A mixture's components have hundreds of patches each, however few the photos.
FREE_RIDGE = 0.01
# Gaussians of a mixture without places, at most. Twice as many gain little and cost as much again.
FREE_COMPONENTS = 64


@dataclass(frozen=True)
class PadimConfig:
    """What PaDiM is fitted with.

    Attributes:
        dims: channels after projection, d.
        projection: `orthogonal` (seeded semi-orthogonal matrix) or `subset` (seeded choice of channels).
        stride: pixels of input per grid cell: 4, 8 or 16.
        regularisation: added to the covariance's diagonal (0.01 in the paper); None for `RIDGE` / photos,
            since what few photos leave uncertain shrinks with their number, or for `FREE_RIDGE`.
        normalise: bring every embedding to one length, so that contrast and exposure count for little.
        smoothing: standard deviation of the Gaussian that smooths the map, in input pixels; 0 for none.
        seed: of the projection, and of the sample that a mixture is fitted to.
        alignment: `fixed` has a Gaussian for each grid position, `free` a mixture for all of them together.
    """

    dims: int = 100
    projection: Projection = "orthogonal"
    stride: int = 8
    regularisation: float | None = None
    normalise: bool = False
    smoothing: float = 8.0
    seed: int = 0
    alignment: Alignment = "fixed"

    def ridge(self, photos: int) -> float:
        """What is added to the diagonal of covariances over so many photos."""
        if self.regularisation is not None:
            return self.regularisation
        return FREE_RIDGE if self.alignment == "free" else RIDGE / photos
