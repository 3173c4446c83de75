"""Views of a part that could have been taken by the same camera: for training the classifier."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Augmentation:
    """Which changes leave a part's class as it is; turn off those that do not (parts with a handedness).

    Attributes:
        horizontal_flip, vertical_flip: mirror with probability 1/2.
        rotation: largest angle in degrees, either way; 0 for none.
        crop: largest share by which the picture is enlarged or moved; 0 for none.
        light: largest relative change of brightness and of contrast; 0 for none.
    """

    horizontal_flip: bool = True
    vertical_flip: bool = True
    rotation: float = 8.0
    crop: float = 0.08
    light: float = 0.15

    def view(self, pixels: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        """Draw one view of uint8 [H, W, 3] RGB at the same size."""
        height, width = pixels.shape[:2]
        angle = rng.uniform(-self.rotation, self.rotation)
        scale = 1.0 + rng.uniform(0.0, self.crop)
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, scale)
        matrix[:, 2] += rng.uniform(-self.crop, self.crop, 2) * np.array([width, height]) / 2
        moved = cv2.warpAffine(
            pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        if self.horizontal_flip and rng.random() < 0.5:
            moved = moved[:, ::-1]
        if self.vertical_flip and rng.random() < 0.5:
            moved = moved[::-1]
        gain = 1.0 + rng.uniform(-self.light, self.light)
        shift = 127.5 * rng.uniform(-self.light, self.light)
        lit = (moved.astype(np.float32) - 127.5) * gain + 127.5 + shift
        return np.ascontiguousarray(np.clip(np.rint(lit), 0, 255), dtype=np.uint8)
