"""Small changes to a photo, such as the next photo of the same part would show: place, light and noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

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
        red, green, blue = cv2.split(pixels)
        if np.array_equal(red, green) and np.array_equal(red, blue):
            changed = self._apply(red, place)
            return np.asarray(cv2.merge([changed, changed, changed]), dtype=np.uint8)
        return self._apply(pixels, place)

    def _apply(self, pixels: npt.NDArray[Any], place: Placement) -> npt.NDArray[np.uint8]:
        """The same for uint8 [H, W] or [H, W, 3], with noise in each value of its own."""
        changed = pixels
        if self.right or self.down:
            x = self.right * place.photo_width / place.width
            y = self.down * place.photo_height / place.height
            changed = _moved(pixels, x, y)
        changed = changed.astype(np.float32, copy=False)
        noise = changed
        if self.noise:
            noise = np.random.default_rng(self.seed).standard_normal(changed.shape, dtype=np.float32)
        # One step that rounds and ends at black and white; several would each hold a copy of the photo.
        lit = cv2.addWeighted(changed, self.gain, noise, self.noise, 0.0, dtype=cv2.CV_8U)
        return np.asarray(lit, dtype=np.uint8)


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


def _moved(pixels: npt.NDArray[np.uint8], x: float, y: float) -> npt.NDArray[np.float32]:
    """Move by parts of a pixel, by cubic convolution (R. Keys, IEEE Trans. ASSP 29, 1981).

    Linear interpolation would blur, which is no shift; OpenCV's own cubic one is off by up to 0.05 pixels.
    """
    (whole_x, part_x), (whole_y, part_y) = divmod(x, 1.0), divmod(y, 1.0)
    right, down = int(whole_x), int(whole_y)
    height, width = pixels.shape[:2]
    beside, above = abs(right), abs(down)
    wide = cv2.copyMakeBorder(pixels, above, above, beside, beside, cv2.BORDER_REPLICATE)
    placed = wide[above - down : above - down + height, beside - right : beside - right + width]
    weights = _weights(part_x), _weights(part_y)
    # Isolated: what lies beside the slice is not beside the photo.
    border = cv2.BORDER_REPLICATE | cv2.BORDER_ISOLATED
    return np.asarray(cv2.sepFilter2D(placed, cv2.CV_32F, *weights, borderType=border), dtype=np.float32)


def _weights(part: float) -> npt.NDArray[np.float32]:
    """What the pixels two before to two after give to one that is moved on by 0 <= part < 1."""
    distance = np.abs(np.arange(-2, 3) + part)
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1.0
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4.0 * distance + 2.0
    return np.where(distance <= 1.0, near, np.where(distance < 2.0, far, 0.0)).astype(np.float32)
