"""Encoded photos of every kind for tests: what Pillow and OpenCV do not write is put together by hand."""

import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[Any]


def textured(height: int = 40, width: int = 56, channels: int = 3) -> npt.NDArray[np.uint8]:
    """A smooth random picture over the whole range, never mid-grey at its corner: uint8 [H, W, C]."""
    noise = np.random.default_rng(7).integers(0, 256, (height, width, channels)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3).reshape(height, width, channels)
    low, high = smooth.min(), smooth.max()
    return np.rint(255 * (smooth - low) / (high - low)).astype(np.uint8)


def sixteen_bit(height: int = 40, width: int = 56, channels: int = 3) -> npt.NDArray[np.uint16]:
    """Random values over all 16 bits: uint16 [H, W, C]."""
    return np.random.default_rng(8).integers(0, 65536, (height, width, channels)).astype(np.uint16)


def save(picture: Image.Image | Pixels, form: str, **options: Any) -> bytes:
    """Encode with Pillow; `form` is its name of the format."""
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def turned(form: str, orientation: int, **options: Any) -> bytes:
    """`textured()` with an EXIF orientation."""
    picture = Image.fromarray(textured())
    exif = picture.getexif()
    exif[0x0112] = orientation
    return save(picture, form, exif=exif, **options)


def png(
    values: Pixels, *, colour_type: int, bits: int = 16, extra: bytes = b"", rows: int | None = None
) -> bytes:
    """A PNG of values [H, W, C]; with `rows`, its header promises that many rows."""
    height, width = values.shape[:2]
    kind = ">u2" if bits == 16 else "u1"
    lines = b"".join(b"\0" + line.astype(kind).tobytes() for line in values)
    header = struct.pack(">IIBBBBB", width, rows or height, bits, colour_type, 0, 0, 0)
    parts = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def chunk(kind: bytes, content: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def tiff(
    values: Pixels,
    *,
    order: str = "<",
    planar: bool = False,
    rows_per_strip: int | None = None,
    strips: int | None = None,
    tags: Mapping[int, list[int]] | None = None,
) -> bytes:
    """An uncompressed TIFF of values [H, W, C], as deep as their dtype.

    Args:
        values: the picture.
        order: `<` for little-endian, `>` for big-endian.
        planar: each channel by itself.
        rows_per_strip: all rows are in one strip without it.
        strips: leave out all strips after so many.
        tags: replace tags by their numbers.
    """
    height, width, channels = values.shape
    rows = rows_per_strip or height
    ordered = values.astype(values.dtype.newbyteorder(order))
    planes = [ordered[..., c] for c in range(channels)] if planar else [ordered]
    pieces = [plane[y : y + rows].tobytes() for plane in planes for y in range(0, height, rows)][:strips]
    starts = [8 + sum(map(len, pieces[:index])) for index in range(len(pieces))]
    entries = {
        256: [width],
        257: [height],
        258: [8 * values.dtype.itemsize] * channels,
        259: [1],
        262: [2 if channels >= 3 else 1],
        273: starts,
        277: [channels],
        278: [rows],
        279: [len(piece) for piece in pieces],
        284: [2 if planar else 1],
        **(tags or {}),
    }
    body = b"".join(pieces)
    directory_at = 8 + len(body)
    tail_at = directory_at + 2 + 12 * len(entries) + 4
    directory, tail = struct.pack(order + "H", len(entries)), b""
    for tag in sorted(entries):
        numbers = b"".join(struct.pack(order + "I", number) for number in entries[tag])
        directory += struct.pack(order + "HHI", tag, 4, len(entries[tag]))
        directory += numbers if len(numbers) == 4 else struct.pack(order + "I", tail_at + len(tail))
        tail += numbers if len(numbers) > 4 else b""
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", directory_at)
    return start + body + directory + bytes(4) + tail


def bmp_header(width: int, height: int) -> bytes:
    """A BMP of 24 bits that promises a size and has no pixels."""
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def every_kind() -> dict[str, bytes]:
    """One whole, readable file of each kind."""
    colour, grey = textured(), textured(channels=1)[..., 0]
    deep = colour.astype(np.uint16) * 257
    palette = Image.fromarray(colour).convert("P")
    return {
        "jpeg": turned("JPEG", 6),
        "jpeg-progressive": save(colour, "JPEG", progressive=True),
        "jpeg-grey": save(grey, "JPEG"),
        "png": save(colour, "PNG"),
        "png-palette": save(palette, "PNG"),
        "png-16": cv2.imencode(".png", deep)[1].tobytes(),
        "png-16-grey": cv2.imencode(".png", deep[..., 0])[1].tobytes(),
        "bmp": save(colour, "BMP"),
        "bmp-palette": save(palette, "BMP"),
        "tiff": save(colour, "TIFF"),
        "tiff-lzw": save(colour, "TIFF", compression="tiff_lzw"),
        "tiff-deflate": save(colour, "TIFF", compression="tiff_deflate"),
        "tiff-jpeg": save(colour, "TIFF", compression="jpeg"),
        "tiff-16": tiff(deep, tags={274: [6]}),
        "tiff-16-lzw": cv2.imencode(".tiff", deep)[1].tobytes(),
        "webp": save(colour, "WEBP"),
        "webp-lossless": save(colour, "WEBP", lossless=True),
    }


def giants(side: int = 50_000) -> dict[str, bytes]:
    """A small file of each format whose header promises `side` x `side` pixels (WebP: its largest, 16383)."""
    whole = png(textured(), colour_type=2, bits=8)
    jpeg = bytearray(save(textured(), "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    lossless = bytearray(save(textured(), "WEBP", lossless=True))
    size_at = lossless.index(b"VP8L") + 9
    (packed,) = struct.unpack_from("<I", lossless, size_at)
    struct.pack_into("<I", lossless, size_at, packed >> 28 << 28 | 16382 << 14 | 16382)
    canvas = (side - 1).to_bytes(3, "little") * 2
    extended = b"VP8X" + struct.pack("<I", 10) + bytes(4) + canvas + bytes(lossless[12:])
    return {
        "PNG": whole[:8] + chunk(b"IHDR", struct.pack(">II", side, side) + whole[24:29]) + whole[33:],
        "JPEG": bytes(jpeg),
        "BMP": bmp_header(side, side),
        "TIFF": tiff(textured(), tags={256: [side], 257: [side]}),
        "WebP": bytes(lossless),
        "extended WebP": b"RIFF" + struct.pack("<I", 4 + len(extended)) + b"WEBP" + extended,
    }
