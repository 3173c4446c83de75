"""Photos of 16 bits per channel, which no one decoder reads whole."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from models.errors import PhotoError
from models.photo_errors import colour_mode, decoding, transparent

SIXTEEN_BIT_GREY_MODES = frozenset({"I;16", "I;16B", "I;16L", "I"})

_EXIF_ORIENTATION = 0x0112


def decode_sixteen_bit(header: Image.Image, data: bytes) -> npt.NDArray[np.uint16]:
    """Return uint16 [H, W, 3], RGB, upright.

    Pillow reads 16-bit grey whole, but only the upper 8 bits of 16-bit colour; OpenCV reads all of them,
    but not every layout rightly. So colour comes from OpenCV, and its upper bits must be Pillow's.

    Args:
        header: the photo opened with Pillow, 16 bits per channel.
        data: the same file, encoded.

    Raises:
        PhotoError: `transparent`, `truncated` or `colour_mode`.
    """
    if "transparency" in header.info:
        raise transparent()
    with decoding():
        orientation = int(header.getexif().get(_EXIF_ORIENTATION, 1))
        header.load()
        picture = ImageOps.exif_transpose(header)
        if picture.mode in SIXTEEN_BIT_GREY_MODES:
            grey = np.asarray(picture).astype(np.uint16)
            return np.repeat(grey[..., None], 3, axis=2)
        raw: npt.NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        upper = np.asarray(picture.convert("RGB"))
    if raw is None or raw.dtype != np.uint16 or raw.ndim != 3:
        raise colour_mode("The 16-bit colours are stored in a layout that is not read.")
    if raw.shape[2] == 4 and int(raw[..., 3].min()) != 65535:
        raise transparent()
    rgb = np.asarray(cv2.cvtColor(raw[..., :3], cv2.COLOR_BGR2RGB), dtype=np.uint16)
    # OpenCV turns a TIFF upright by itself, and no other format.
    if header.format != "TIFF":
        rgb = _upright(rgb, orientation)
    if not np.array_equal(rgb >> 8, upper):
        raise colour_mode("The 16-bit colours are stored in a layout that is not read.")
    return rgb


def scale_to_eight_bits(pixels: npt.NDArray[np.uint16], white_level: int) -> npt.NDArray[np.uint8]:
    """Scale 0..white_level to 0..255, to the nearest.

    Raises:
        PhotoError: `white_level` when a value lies above it.
    """
    peak = int(pixels.max())
    if peak > white_level:
        raise PhotoError(
            "white_level",
            f"The photo holds values up to {peak}, above the declared white level of {white_level}.",
            "Check the camera's bit depth and alignment against the white level the model was trained with.",
        )
    scaled = pixels.astype(np.float32) * np.float32(255.0 / white_level)
    return np.asarray(np.rint(scaled), dtype=np.uint8)


def _upright(pixels: npt.NDArray[np.uint16], orientation: int) -> npt.NDArray[np.uint16]:
    """Undo EXIF orientation 1..8 of pixels [H, W, C] (Exif 2.32, tag 0x0112)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
