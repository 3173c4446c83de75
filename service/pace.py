"""How fast a device answers, so that a photo which cannot be in time is refused before it costs anything."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from service.waiting import Runner

_WEIGHT = 0.1

# A photo's own decoding, run and drawing take about as long as the device takes for so many photos.
_OWN_TIME = 3


class Pace:
    """What is on its way through a device, and how long that will take, by what the last batches took.

    Parts share a device and differ in what they cost, so each runner has a pace of its own. Photos are
    counted from the event loop only; workers tell what their batches took.
    """

    def __init__(self, *, largest: int, lanes: int) -> None:
        """
        Args:
            largest: how many photos run at once at most.
            lanes: how many batches run at the same time.
        """
        self._largest = largest
        self._lanes = lanes
        # A runner goes when its part gets another bundle.
        self._seconds: WeakKeyDictionary[Runner, float] = WeakKeyDictionary()
        self._photos: Counter[Runner] = Counter()

    def learn(self, runner: Runner, seconds: float) -> None:
        """Take in what a batch took, be it full or not: the device hardly takes longer for a fuller one."""
        mean = self._seconds.get(runner)
        self._seconds[runner] = seconds if mean is None else mean + _WEIGHT * (seconds - mean)

    @contextmanager
    def at_work(self, runner: Runner) -> Iterator[None]:
        """Count a photo as on its way through the device until the block ends."""
        self._photos[runner] += 1
        try:
            yield
        finally:
            self._photos[runner] -= 1
            if not self._photos[runner]:
                del self._photos[runner]

    def seconds_for(self, runner: Runner) -> float:
        """How long one more photo of `runner` will take, with those ahead of it; 0 when that is not known.

        While none of its own kind is ahead, only the others count: what was measured of it in a bad moment
        would else refuse it for as long as the device has other work, and never be measured anew.
        """
        seconds = 0.0
        for each, photos in self._photos.items():
            own = _OWN_TIME if each is runner else 0
            seconds += math.ceil((photos + own) / self._largest) * self._seconds.get(each, 0.0)
        return seconds / self._lanes
