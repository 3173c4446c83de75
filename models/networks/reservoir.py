"""A uniform sample of rows that come in a stream, in bounded memory."""

import numpy as np
import torch
from torch import Tensor


class Reservoir:
    """Keeps a seeded, uniform sample of at most `size` of the rows that it is given.

    Each row draws a key, and those with the smallest keys stay: which rows stay depends on the seed and on
    the rows' order, not on how many of them come at once.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size = size
        self._draw = np.random.default_rng(seed)
        self._keys = torch.empty(0, dtype=torch.float64)
        self._rows = torch.empty(0)

    def add(self, rows: Tensor) -> None:
        """Take in float32 [N, d], on any device."""
        keys = torch.from_numpy(self._draw.random(len(rows)))
        if self._rows.ndim == 1:
            self._rows = torch.empty(self._size, rows.shape[1])
        held = len(self._keys)
        free = min(self._size - held, len(rows))
        self._rows[held : held + free] = rows[:free].cpu()
        self._keys = torch.cat([self._keys, keys[:free]])
        if free < len(rows):
            self._replace(rows[free:], keys[free:])

    def _replace(self, rows: Tensor, keys: Tensor) -> None:
        kept = torch.zeros(self._size + len(keys), dtype=torch.bool)
        kept[torch.cat([self._keys, keys]).topk(self._size, largest=False).indices] = True
        leave, come = ~kept[: self._size], kept[self._size :]
        self._rows[leave] = rows.cpu()[come]
        self._keys[leave] = keys[come]

    def rows(self) -> Tensor:
        """The sample float32 [n, d], in the order of its keys: any first part of it is a sample as well."""
        return self._rows[: len(self._keys)][self._keys.argsort()]
