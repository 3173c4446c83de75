"""From the bytes of an upload or a file to RGB pixels, refusing whatever cannot be trusted."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from models.errors import PhotoError
from models.formats import MEDIA_TYPES, PhotoLimits
from models.integrity import extend_jpeg, find_jpeg_end, png_is_whole, tiff_is_whole
from models.photo_errors import colour_mode, decoding, too_many_pixels, transparent, truncated
from models.sixteen_bit import SIXTEEN_BIT_GREY_MODES, decode_sixteen_bit, scale_to_eight_bits

_EIGHT_BIT_MODES = {"1", "L", "P", "RGB", "RGBA", "LA", "PA"}
_TIFF_BITS_PER_SAMPLE = 258
_TIFF_PHOTOMETRIC = 262
_TIFF_WHITE_IS_ZERO = 0
_TIFF_SAMPLE_FORMAT = 339
_MAGIC = (b"\xff\xd8", b"\x89PNG", b"BM", b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+", b"RIFF")
_OTHER_FORMATS = (
    (0, b"GIF8", "a GIF"),
    (0, b"%PDF", "a PDF"),
    (4, b"ftyp", "an HEIC or AVIF picture, or a film"),
    (4, b"jP  ", "a JPEG 2000 picture"),
    (4, b"JXL ", "a JPEG XL picture"),
)
_JPEG_MISSING = 128  # What a decoder draws where a JPEG's data ended too early.
_SEND = "Send the bytes of a JPEG, PNG, BMP, TIFF or WebP file."


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
        PhotoError: `empty`, `too_many_bytes`, `not_an_image`, `too_many_pixels`, `several_frames`,
            `colour_mode`, `transparent`, `truncated` or `white_level`.
    """
    limits = limits or PhotoLimits()
    _check_bytes(len(data), limits)
    with _read_header(data, limits) as header:
        _check_header(header, data, limits)
        bit_depth = 16 if _bits_per_channel(header, data) > 8 else 8
        if bit_depth == 8:
            pixels = _decode_eight_bit(header, data)
            peak = int(pixels.max())
        else:
            deep = decode_sixteen_bit(header, data)
            peak = int(deep.max())
            pixels = scale_to_eight_bits(deep, white_level)
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
    limits = limits or PhotoLimits()
    try:
        # Asked before reading: a folder of photos may hold a film of many gigabytes.
        _check_bytes(path.stat().st_size, limits)
        data = path.read_bytes()
    except OSError as error:
        raise PhotoError(
            "unreadable", f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions."
        ) from error
    return decode_photo(data, white_level=white_level, limits=limits)


def _check_bytes(size: int, limits: PhotoLimits) -> None:
    if size == 0:
        raise PhotoError("empty", "The photo is empty (0 bytes).", "Send the whole image file.")
    if size > limits.max_bytes:
        raise PhotoError(
            "too_many_bytes",
            f"The photo has {size:,} bytes; at most {limits.max_bytes:,} are taken.",
            "Send it as JPEG, or crop it to the part.",
        )


def _read_header(data: bytes, limits: PhotoLimits) -> Image.Image:
    with decoding():
        try:
            return Image.open(io.BytesIO(data), formats=tuple(MEDIA_TYPES))
        except Image.DecompressionBombError as error:
            raise too_many_pixels("far too large", limits.max_pixels) from error
        except UnidentifiedImageError as error:
            if data.startswith(_MAGIC):
                raise truncated() from error
            raise _not_taken(data) from error


def _check_header(header: Image.Image, data: bytes, limits: PhotoLimits) -> None:
    if header.width * header.height > limits.max_pixels:
        raise too_many_pixels(f"{header.width} x {header.height}", limits.max_pixels)
    # Pillow calls a JPEG that holds several pictures by another name.
    if header.format not in MEDIA_TYPES or _has_second_frame(header):
        raise PhotoError(
            "several_frames",
            "The file holds more than one picture.",
            "Send each picture as a photo of its own.",
        )
    if header.mode not in _EIGHT_BIT_MODES | SIXTEEN_BIT_GREY_MODES:
        raise colour_mode(f"The photo is stored as {header.mode}.")
    with decoding():
        whole = True
        if header.format == "PNG":
            whole = png_is_whole(data)
        elif header.format == "JPEG":
            whole = find_jpeg_end(data) is not None
        elif isinstance(header, TiffImagePlugin.TiffImageFile):
            whole = tiff_is_whole(header.tag_v2, len(data))
    if not whole:
        raise truncated()


def _has_second_frame(header: Image.Image) -> bool:
    # Counting the frames of a hostile TIFF takes minutes; looking for the second one does not.
    with decoding():
        try:
            header.seek(1)
        except EOFError:
            return False
    return True


def _bits_per_channel(header: Image.Image, data: bytes) -> int:
    # Pillow opens a 16-bit colour file as 8-bit RGB, so the depth is read from the header itself.
    if header.format == "PNG":
        return data[24]
    if not isinstance(header, TiffImagePlugin.TiffImageFile):
        return 8
    with decoding():
        formats = set(header.tag_v2.get(_TIFF_SAMPLE_FORMAT, (1,)))
        bits = int(max(header.tag_v2.get(_TIFF_BITS_PER_SAMPLE, (1,))))
        white_is_zero = header.tag_v2.get(_TIFF_PHOTOMETRIC) == _TIFF_WHITE_IS_ZERO
    if formats != {1}:
        raise colour_mode("The TIFF holds signed or floating-point values.")
    if bits > 8 and bits != 16:
        raise colour_mode(f"The TIFF has {bits} bits per channel.")
    if bits == 16 and white_is_zero:
        raise colour_mode("The 16-bit TIFF counts from white to black.")
    return bits


def _decode_eight_bit(header: Image.Image, data: bytes) -> npt.NDArray[np.uint8]:
    with decoding():
        header.load()
        if header.format == "JPEG":
            _check_jpeg_to_its_end(header, data)
        # Both in place, or not at all: each copy of the pixels costs as much as a third of decoding them.
        ImageOps.exif_transpose(header, in_place=True)
        picture: Image.Image = header
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            if picture.getchannel("A").getextrema() != (255, 255):
                raise transparent()
        return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))


def _check_jpeg_to_its_end(header: Image.Image, data: bytes) -> None:
    corner = header.getpixel((header.width - 1, header.height - 1))
    suspicious = corner in (_JPEG_MISSING, (_JPEG_MISSING,) * 3) or "progressive" in header.info
    end = find_jpeg_end(data) if suspicious else None
    if end is None:
        return
    with Image.open(io.BytesIO(extend_jpeg(data, end)), formats=("JPEG",)) as extended:
        if extended.tobytes() != header.tobytes():
            raise truncated()


def _not_taken(data: bytes) -> PhotoError:
    for offset, signature, name in _OTHER_FORMATS:
        if data.startswith(signature, offset):
            return PhotoError("not_an_image", f"The file is {name}, which is not taken.", _SEND)
    return PhotoError("not_an_image", "The bytes are not a photo in a format that is inspected.", _SEND)
