"""The places for photos: how many may be inside at a time, from their upload to their answer."""

from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import QueueFullError


class Places:
    """Counts the photos that are inside, and refuses those beyond its capacity. For one event loop."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._taken = 0

    @property
    def load(self) -> tuple[int, int]:
        """How many photos are inside now, and how many may be."""
        return self._taken, self._capacity

    @contextmanager
    def take(self) -> Iterator[None]:
        """Take a place for one photo, from its upload to its answer.

        Raises:
            QueueFullError: at once, when all places are taken.
        """
        if self._taken >= self._capacity:
            raise QueueFullError(self._capacity)
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
