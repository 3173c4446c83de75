"""First weights for the first convolution: what it would learn anyway."""

import math

import torch
from torch import Tensor

_SIZE = 7
_GREY = (0.58, 0.58, 0.58)
_OPPONENTS = ((0.7, -0.7, 0.0), (0.4, 0.4, -0.8), (-0.4, 0.8, -0.4))


def first_filters() -> Tensor:
    """Filters float32 [64, 3, 7, 7]: edges and lines of 8 directions and 3 widths, spots, colours, one mean.

    All but the last eight answer to differences of brightness alone, so that level and colour of the light,
    which change more than any texture does, do not drown it.
    """
    y, x = torch.meshgrid(*(torch.arange(_SIZE) - _SIZE // 2.0 for _ in range(2)), indexing="ij")
    planes: list[tuple[Tensor, tuple[float, float, float]]] = []
    for wavelength, spread in ((2.8, 1.1), (4.5, 1.6), (7.5, 2.2)):
        for index in range(8):
            angle = math.pi * index / 8
            along = x * math.cos(angle) + y * math.sin(angle)
            envelope = torch.exp(-(x**2 + y**2) / (2 * spread**2))
            for phase in (0.0, math.pi / 2):
                planes.append((envelope * torch.cos(2 * math.pi * along / wavelength + phase), _GREY))
    for sign in (1, -1):
        for spread in (0.6, 0.9, 1.3, 1.8):
            near = torch.exp(-(x**2 + y**2) / (2 * spread**2))
            far = torch.exp(-(x**2 + y**2) / (2 * (1.6 * spread) ** 2))
            planes.append((sign * (near / near.sum() - far / far.sum()), _GREY))
    planes = [((plane - plane.mean()), colour) for plane, colour in planes]
    soft = torch.exp(-(x**2 + y**2) / 8)
    planes += [(sign * soft, colour) for sign in (1, -1) for colour in (*_OPPONENTS, _GREY)]
    filters = torch.stack([torch.tensor(colour)[:, None, None] * plane for plane, colour in planes])
    # As long as torchvision's random ones are on average.
    lengths = filters.flatten(1).norm(dim=1)[:, None, None, None]
    return torch.div(filters * math.sqrt(3 * 2.0 / 64), lengths)
