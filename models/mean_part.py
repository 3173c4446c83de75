"""The mean of the clean training photos, which a bundle may hold, and how a photo differs from it."""

import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from models.bundle_pictures import read_picture
from models.resizing import turned_back
from models.sight import Sight

MEAN_PART = "mean.png"

# Levels of 255 from the mean at which the colours of a difference end.
FULL_DIFFERENCE = 64

# Darker than the mean in blue, brighter in orange, like it in black: told apart with any common colour
# blindness, and quiet where nothing differs.
_DARKER = ((12, 12, 12), (20, 80, 150), (150, 215, 255))
_BRIGHTER = ((12, 12, 12), (165, 75, 10), (255, 225, 150))
_AT = (0.0, 0.43, 1.0)


def read_mean(bundle: Bundle) -> npt.NDArray[np.uint8] | None:
    """The mean clean part at the model's input size: uint8 [height, width, 3], RGB; None if there is none.

    Raises:
        BundleError: when it cannot be read, was altered, or has another size.
    """
    if MEAN_PART not in bundle.manifest.files:
        return None
    return read_picture(bundle, MEAN_PART, 3)


def draw_difference(
    pixels: npt.NDArray[np.uint8], mean: npt.NDArray[np.uint8], sight: Sight
) -> npt.NDArray[np.uint8]:
    """Draw how a photo, as the model sees it, differs from the mean clean part.

    Of each pixel the channel that differs most counts, with its sign; the colours end at
    `FULL_DIFFERENCE`, on one scale for all photos.

    Args:
        pixels: the photo, uint8 [H, W, 3], RGB.
        mean: uint8 [height, width, 3], RGB, at the model's input size.
        sight: of the bundle that the mean is from.

    Returns:
        uint8 [h, w, 3], RGB: the photo's own part of the model's input, without mirrored borders.
    """
    seen = sight.see(pixels)
    apart = seen.tensor.astype(np.int16) - mean
    strongest = np.abs(apart).argmax(axis=2)[..., None]
    signed = np.take_along_axis(apart, strongest, axis=2)[..., 0]
    on_photo = np.rint(turned_back(signed.astype(np.float32), seen.place)).astype(np.int16)
    level = np.clip(on_photo, -FULL_DIFFERENCE, FULL_DIFFERENCE) + FULL_DIFFERENCE
    picture: npt.NDArray[np.uint8] = _colours()[level]
    return picture


def difference_colours(count: int = 9) -> list[str]:
    """Colours of the scale, from the most of darker to the most of brighter, as hexadecimal RGB."""
    colours = _colours()
    return [bytes(colours[round(at)]).hex() for at in np.linspace(0, len(colours) - 1, count)]


def _colours() -> npt.NDArray[np.uint8]:
    """By difference from -FULL_DIFFERENCE to FULL_DIFFERENCE: uint8 [2 * FULL_DIFFERENCE + 1, 3]."""
    strength = np.linspace(0.0, 1.0, FULL_DIFFERENCE + 1)
    darker, brighter = (
        np.stack([np.interp(strength, _AT, channel) for channel in np.array(colours).T], axis=1)
        for colours in (_DARKER, _BRIGHTER)
    )
    colours: npt.NDArray[np.uint8] = np.rint(np.concatenate([darker[:0:-1], brighter])).astype(np.uint8)
    return colours
