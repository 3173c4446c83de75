"""Activations of augmented views, computed when they are first drawn and kept."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from training.augmentation import Augmentation

# What the kept activations may take in memory; more photos get fewer views each.
CACHE_BYTES = 3 << 30


@dataclass(frozen=True)
class LabelledImages:
    """Model-sized images uint8 [N, H, W, 3] RGB and class indices int64 [N], 0 for clean.

    `painted`, bool [N], says which have a painted defect; None for none.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    painted: npt.NDArray[np.bool_] | None = None


class ViewCache:
    """What the frozen part of a network makes of each photo (view 0) and of augmented views of it.

    A view is the same whenever and in whatever order it is drawn.
    """

    def __init__(
        self,
        frozen: nn.Module | None,
        images: npt.NDArray[np.uint8],
        augmentation: Augmentation,
        *,
        views: int,
        seed: int,
        device: str,
    ) -> None:
        self._frozen = frozen
        self._images = images
        self._augmentation = augmentation
        self._seed = seed
        self._device = device
        first = activations(frozen, images[:1], device)
        per_view = first.element_size() * first.nelement() * len(images)
        self.views = max(2, min(views, CACHE_BYTES // max(1, per_view)))
        self._kept = torch.empty((len(images), self.views, *first.shape[1:]), dtype=first.dtype)
        self._known = torch.zeros((len(images), self.views), dtype=torch.bool)

    def take(self, photos: Tensor, views: Tensor) -> Tensor:
        """Activations [B, ...] of the given views of the given photos, both int64 [B]."""
        missing = torch.unique(torch.stack([photos, views], dim=1)[~self._known[photos, views]], dim=0)
        if len(missing):
            drawn = np.stack([self._draw(int(photo), int(view)) for photo, view in missing])
            rows, columns = missing[:, 0], missing[:, 1]
            self._kept[rows, columns] = activations(self._frozen, drawn, self._device)
            self._known[rows, columns] = True
        return self._kept[photos, views]

    def _draw(self, photo: int, view: int) -> npt.NDArray[np.uint8]:
        image: npt.NDArray[np.uint8] = self._images[photo]
        if view == 0:
            return image
        return self._augmentation.view(image, np.random.default_rng([self._seed, photo, view]))


@torch.inference_mode()
def activations(frozen: nn.Module | None, images: npt.NDArray[np.uint8], device: str) -> Tensor:
    """Run the frozen part: float16 activations on the CPU, or the images themselves if nothing is frozen."""
    tensor = torch.from_numpy(images)
    if frozen is None:
        return tensor
    frozen.eval()
    return torch.cat([frozen(part.to(device)).half().cpu() for part in torch.split(tensor, 16)])
