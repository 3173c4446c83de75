"""Small changes to a photo, such as the next photo of the same part would show: place, light and noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from models.preprocessing import Placement

Kind = Literal["shift", "light", "noise", "together"]

# The noise that is drawn for a repeat must not be its shift over again.
_PLACES, _NOISE = 0, 1


@dataclass(frozen=True)
class Amplitudes:
    """How far photos are disturbed; 0 for not at all.

    Attributes:
        shift: largest shift either way, along each axis, in pixels of the model's input.
        light: largest relative change of brightness, 0..1.
        noise: standard deviation of a sensor's noise, in grey levels of 255.
    """

    shift: float = 1.0
    light: float = 0.02
    noise: float = 1.0

    def kinds(self) -> tuple[Kind, ...]:
        """What is disturbed: each kind alone, then, if there are several, all together."""
        asked: Sequence[tuple[Kind, float]] = (
            ("shift", self.shift),
            ("light", self.light),
            ("noise", self.noise),
        )
        alone = tuple(kind for kind, amplitude in asked if amplitude > 0.0)
        return (*alone, "together") if len(alone) > 1 else alone


@dataclass(frozen=True)
class Disturbance:
    """One change to a photo.

    Attributes:
        right, down: where the part moves, in pixels of the model's input.
        gain: what brightness is multiplied by.
        noise: standard deviation in grey levels of 255.
        seed: of the noise.
    """

    right: float = 0.0
    down: float = 0.0
    gain: float = 1.0
    noise: float = 0.0
    seed: tuple[int, ...] = ()

    def apply(self, pixels: npt.NDArray[np.uint8], place: Placement) -> npt.NDArray[np.uint8]:
        """Disturb RGB pixels uint8 [H, W, 3] at their own size; `place` is theirs in the model's input.

        What moves in from outside repeats the edge. A grey photo stays grey. Rounded once, at the end.
        """
        changed = pixels.astype(np.float32)
        if self.right or self.down:
            x = self.right * place.photo_width / place.width
            y = self.down * place.photo_height / place.height
            changed = _moved(changed, x, y)
        if self.gain != 1.0:
            changed *= np.float32(self.gain)
        if self.noise:
            grey = bool((pixels[..., :1] == pixels[..., 1:]).all())
            shape = (*pixels.shape[:2], 1 if grey else 3)
            drawn = np.random.default_rng(self.seed).standard_normal(shape, dtype=np.float32)
            changed += np.float32(self.noise) * drawn
        return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


def draw(
    amplitudes: Amplitudes, repeats: int, *, seed: int, content: str
) -> dict[Kind, tuple[Disturbance, ...]]:
    """The repeats of one photo by kind of disturbance.

    A repeat of all together has the shift, light and noise of the repeats of each alone. What is drawn
    depends on the seed and the photo alone, not on the photos beside it.

    Args:
        amplitudes: how far.
        repeats: of each kind.
        seed: >= 0.
        content: hex digest that names the photo.
    """
    root = (seed, int(content[:16], 16))
    uniform = np.random.default_rng((*root, _PLACES)).uniform(-1.0, 1.0, (repeats, 3))
    whole = []
    for number, (right, down, light) in enumerate(uniform.tolist()):
        gain = 1.0 + amplitudes.light * light
        moved = (amplitudes.shift * right, amplitudes.shift * down)
        whole.append(Disturbance(*moved, gain, amplitudes.noise, (*root, _NOISE, number)))
    return {kind: tuple(_only(kind, each) for each in whole) for kind in amplitudes.kinds()}


def _only(kind: Kind, whole: Disturbance) -> Disturbance:
    if kind == "shift":
        return Disturbance(right=whole.right, down=whole.down)
    if kind == "light":
        return Disturbance(gain=whole.gain)
    if kind == "noise":
        return Disturbance(noise=whole.noise, seed=whole.seed)
    return whole


def _moved(pixels: npt.NDArray[np.float32], x: float, y: float) -> npt.NDArray[np.float32]:
    """Move by parts of a pixel. Cubic, since linear interpolation blurs, which is no shift."""
    height, width = pixels.shape[:2]
    matrix = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    moved = cv2.warpAffine(
        pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, dtype=np.float32)
