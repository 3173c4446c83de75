"""What the readings of clean calibration photos say about a new reading: its rank, as a normal score."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from statistics import NormalDist, median

FEWEST_PHOTOS = 20
# A reading this close to the calibration photos' median, as a share of it, calls for nobody.
TOLERANCE = 0.05
_PHOTOS_PER_BIN = 5
_MOST_BINS = 10


class Reference:
    """One reading over the calibration photos.

    A new value counts by its rank among them, never by its size. So no shape of the distribution is
    assumed, and one defect with a huge anomaly score weighs no more than the strangest clean photo.
    """

    def __init__(self, values: Sequence[float], smallest_tolerance: float = 0.0) -> None:
        """
        Args:
            values: finite numbers, one per calibration photo, at least `FEWEST_PHOTOS` of them.
            smallest_tolerance: in the reading's own unit, where a share of the median means nothing.
        """
        self.size = len(values)
        self._median = median(values)
        self._tolerance = max(smallest_tolerance, TOLERANCE * abs(self._median))
        self._values = sorted(self._settled(value) for value in values)
        normal = NormalDist()
        # A value may tie with others or lie between two: twice its mid-rank is a whole number from 0 to 2n.
        self._scores = [normal.inv_cdf((rank + 1) / (2 * self.size + 2)) for rank in range(2 * self.size + 1)]
        bins = min(_MOST_BINS, self.size // _PHOTOS_PER_BIN)
        edges = {self._values[index * self.size // bins] for index in range(1, bins)}
        self._edges = sorted(edges - {self._values[0]})
        counts = [0] * (len(self._edges) + 1)
        for value in values:
            counts[self.bin_of(value)] += 1
        self.bin_shares = tuple(count / self.size for count in counts)

    def normal_score(self, value: float) -> float:
        """The standard normal quantile of the value's mid-rank; bounded, since ranks are."""
        settled = self._settled(value)
        return self._scores[bisect_left(self._values, settled) + bisect_right(self._values, settled)]

    def bin_of(self, value: float) -> int:
        """The quantile bin that a value falls into, 0 to len(bin_shares) - 1."""
        return bisect_right(self._edges, self._settled(value))

    def _settled(self, value: float) -> float:
        return self._median if abs(value - self._median) <= self._tolerance else value


def stability_index(counts: Sequence[int], shares: Sequence[float]) -> float:
    """The population stability index of the counts per bin against the reference's shares, >= 0.

    The sum of (p - q) ln(p / q) over the bins (Siddiqi, Credit Risk Scorecards, 2006), half a photo added
    to each so that an empty one has a logarithm.
    """
    total = sum(counts) + 0.5 * len(counts)
    observed = [(count + 0.5) / total for count in counts]
    return sum((p - q) * math.log(p / q) for p, q in zip(observed, shares, strict=True))


def most_rejects(window: int, rate: float, alpha: float) -> int:
    """The smallest count that the rejects among `window` photos reach with probability `alpha` at most,
    where each is rejected with probability `rate` < 1 (binomial)."""
    term = (1.0 - rate) ** window
    tail = 1.0
    for count in range(window + 1):
        if tail <= alpha:
            return count
        tail -= term
        term *= (window - count) / (count + 1) * rate / (1.0 - rate)
    return window + 1


def highest_rate(rejected: int, photos: int, confidence: float = 0.99) -> float:
    """The upper end of Wilson's interval for a rate of which `rejected` of `photos` were seen, 0..1."""
    z = NormalDist().inv_cdf(confidence)
    share = rejected / photos
    middle = share + z * z / (2 * photos)
    half = z * math.sqrt(share * (1.0 - share) / photos + z * z / (4 * photos * photos))
    return min(1.0, (middle + half) / (1.0 + z * z / photos))
