"""From the bytes of an upload or a file to RGB pixels, refusing whatever cannot be trusted."""

import hashlib
import io
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from models.errors import PhotoError

MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "WEBP": "image/webp",
}
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")

_EIGHT_BIT_MODES = {"1", "L", "P", "RGB", "RGBA", "LA", "PA"}
_SIXTEEN_BIT_GREY_MODES = {"I;16", "I;16B", "I;16L", "I"}
_EXIF_ORIENTATION = 0x0112
_TIFF_BITS_PER_SAMPLE = 258
_TIFF_SAMPLE_FORMAT = 339
_MAGIC = (b"\xff\xd8", b"\x89PNG", b"BM", b"II*\x00", b"MM\x00*", b"RIFF")
_SAVE_AS = "Save it as 8-bit or 16-bit grey or RGB."
_DECODER_ERRORS = (OSError, ValueError, SyntaxError, struct.error, EOFError, cv2.error)


@dataclass(frozen=True)
class PhotoLimits:
    """What one photo may cost: `max_bytes` encoded, `max_pixels` decoded (checked before decoding)."""

    max_bytes: int = 32 * 1024 * 1024
    max_pixels: int = 64_000_000


@dataclass(frozen=True)
class Photo:
    """A decoded photo, upright.

    Attributes:
        pixels: uint8 [H, W, 3], RGB, 0..255; EXIF orientation applied.
        sha256: hex digest of the encoded bytes.
        media_type: for example `image/jpeg`.
        bit_depth: bits per channel as encoded, 8 or 16.
        peak: the brightest value as encoded, 0..2**bit_depth - 1.
    """

    pixels: npt.NDArray[np.uint8]
    sha256: str
    media_type: str
    bit_depth: int
    peak: int

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])


def decode_photo(data: bytes, *, white_level: int = 65535, limits: PhotoLimits | None = None) -> Photo:
    """Decode JPEG, PNG, BMP, TIFF or WebP; 8-bit grey, palette, RGB; 16-bit grey and colour.

    Args:
        data: the encoded file.
        white_level: the value that means white in a 16-bit file; 65535, or 4095 for a 12-bit
            camera whose values are right-aligned. 16-bit values are scaled to 0..255 by it.
        limits: refuse larger photos; the size is read from the header, before any pixel is decoded.

    Raises:
        PhotoError: `empty`, `too_many_bytes`, `not_an_image`, `unsupported_format`, `too_many_pixels`,
            `several_frames`, `colour_mode`, `transparent`, `truncated` or `white_level`.
    """
    limits = limits or PhotoLimits()
    if not data:
        raise PhotoError("empty", "The photo is empty (0 bytes).", "Send the whole image file.")
    if len(data) > limits.max_bytes:
        raise PhotoError(
            "too_many_bytes",
            f"The photo has {len(data):,} bytes; at most {limits.max_bytes:,} are taken.",
            "Send it as JPEG, or crop it to the part.",
        )
    with _read_header(data) as header:
        _check_header(header, limits)
        if header.format == "PNG" and b"IEND" not in data[-1024:]:
            raise _truncated()
        bit_depth = 16 if _bits_per_channel(header, data) > 8 else 8
        if bit_depth == 8:
            pixels = _decode_eight_bit(header)
            peak = int(pixels.max())
        else:
            deep = _decode_sixteen_bit(header, data)
            peak = int(deep.max())
            pixels = _scale_to_eight_bits(deep, white_level)
        media_type = MEDIA_TYPES[str(header.format)]
    return Photo(
        pixels=np.ascontiguousarray(pixels),
        sha256=hashlib.sha256(data).hexdigest(),
        media_type=media_type,
        bit_depth=bit_depth,
        peak=peak,
    )


def read_photo(path: Path, *, white_level: int = 65535, limits: PhotoLimits | None = None) -> Photo:
    """Decode the file at `path`; see `decode_photo`.

    Raises:
        PhotoError: additionally `unreadable` when the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PhotoError(
            "unreadable", f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions."
        ) from error
    return decode_photo(data, white_level=white_level, limits=limits)


def _read_header(data: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Pillow only warns of a decompression bomb; the pixel limit refuses it.
            warnings.simplefilter("ignore")
            return Image.open(io.BytesIO(data), formats=tuple(MEDIA_TYPES))
    except UnidentifiedImageError as error:
        if data.startswith(_MAGIC):
            raise _truncated() from error
    except (*_DECODER_ERRORS, Image.DecompressionBombError) as error:
        raise _truncated() from error
    raise PhotoError(
        "not_an_image",
        "The bytes are not a photo in a format that is inspected.",
        "Send the bytes of a JPEG, PNG, BMP, TIFF or WebP file.",
    )


def _check_header(header: Image.Image, limits: PhotoLimits) -> None:
    if header.width * header.height > limits.max_pixels:
        raise PhotoError(
            "too_many_pixels",
            f"The photo is {header.width} x {header.height}; at most {limits.max_pixels:,} pixels are taken.",
            "Reduce it, or crop it to the part.",
        )
    if getattr(header, "n_frames", 1) != 1:
        raise PhotoError(
            "several_frames",
            "The file holds more than one picture.",
            "Send each picture as a photo of its own.",
        )
    if header.mode not in _EIGHT_BIT_MODES | _SIXTEEN_BIT_GREY_MODES:
        raise PhotoError("colour_mode", f"The photo is stored as {header.mode}.", _SAVE_AS)


def _bits_per_channel(header: Image.Image, data: bytes) -> int:
    # Pillow opens a 16-bit colour file as 8-bit RGB, so the depth is read from the header itself.
    if header.format == "PNG":
        return data[24]
    if isinstance(header, TiffImagePlugin.TiffImageFile):
        if set(header.tag_v2.get(_TIFF_SAMPLE_FORMAT, (1,))) != {1}:
            raise PhotoError("colour_mode", "The TIFF holds signed or floating-point values.", _SAVE_AS)
        return int(max(header.tag_v2.get(_TIFF_BITS_PER_SAMPLE, (1,))))
    return 8


def _decode_eight_bit(header: Image.Image) -> npt.NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header.load()
            picture = ImageOps.exif_transpose(header)
    except _DECODER_ERRORS as error:
        raise _truncated() from error
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        if picture.getchannel("A").getextrema() != (255, 255):
            raise _transparent()
    return np.asarray(picture.convert("RGB"))


def _decode_sixteen_bit(header: Image.Image, data: bytes) -> npt.NDArray[np.uint16]:
    """Return uint16 [H, W, 3], RGB, upright."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            orientation = int(header.getexif().get(_EXIF_ORIENTATION, 1))
            header.load()  # Pillow checks that the file is whole; OpenCV keeps all 16 bits of its colours.
        raw: npt.NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except _DECODER_ERRORS as error:
        raise _truncated() from error
    if raw is None or raw.dtype != np.uint16:
        raise PhotoError("colour_mode", "The bit depth is neither 8 nor 16 bits per channel.", _SAVE_AS)
    raw = raw[..., None] if raw.ndim == 2 else raw
    if raw.shape[2] in (2, 4):
        if int(raw[..., -1].min()) != 65535:
            raise _transparent()
        raw = raw[..., :-1]
    rgb = np.repeat(raw, 3, axis=2) if raw.shape[2] == 1 else raw[..., ::-1]
    return _upright(rgb.astype(np.uint16, copy=False), orientation)


def _upright(pixels: npt.NDArray[np.uint16], orientation: int) -> npt.NDArray[np.uint16]:
    """Undo EXIF orientation 1..8 of pixels [H, W, C] (Exif 2.32, tag 0x0112)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _scale_to_eight_bits(pixels: npt.NDArray[np.uint16], white_level: int) -> npt.NDArray[np.uint8]:
    peak = int(pixels.max())
    if peak > white_level:
        raise PhotoError(
            "white_level",
            f"The photo holds values up to {peak}, above the declared white level of {white_level}.",
            "Check the camera's bit depth and alignment against the white level the model was trained with.",
        )
    scaled = pixels.astype(np.float32) * np.float32(255.0 / white_level)
    return np.asarray(np.rint(scaled), dtype=np.uint8)


def _truncated() -> PhotoError:
    return PhotoError("truncated", "The photo is truncated or damaged.", "Send the whole file, unchanged.")


def _transparent() -> PhotoError:
    return PhotoError(
        "transparent",
        "The photo has transparent pixels, and what lies behind them is not known.",
        "Save it without an alpha channel.",
    )
