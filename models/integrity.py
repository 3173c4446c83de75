"""Whether an encoded photo is whole, where the decoders would fill in what is missing and say nothing."""

import re
import struct
import zlib
from collections.abc import Mapping
from typing import Any

_MARKER = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)
_JPEG_END = 0xD9
_JPEG_WITHOUT_LENGTH = {0x01, 0xD8, *range(0xD0, 0xD8)}

_WIDTH, _HEIGHT, _SAMPLES, _PLANAR = 256, 257, 277, 284
_STRIP_OFFSETS, _ROWS_PER_STRIP, _STRIP_BYTES = 273, 278, 279
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES = 322, 323, 324, 325


def png_is_whole(data: bytes) -> bool:
    """Whether every chunk up to IEND is there and has its checksum."""
    offset = len(b"\x89PNG\r\n\x1a\n")
    view = memoryview(data)
    while offset + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, offset)
        checksum_at = offset + 8 + length
        if checksum_at + 4 > len(data):
            return False
        (checksum,) = struct.unpack_from(">I", data, checksum_at)
        if zlib.crc32(view[offset + 4 : checksum_at]) != checksum:
            return False
        if kind == b"IEND":
            return True
        offset = checksum_at + 4
    return False


def find_jpeg_end(data: bytes) -> int | None:
    """Offset of the marker that ends the picture (EOI), or None; that of a thumbnail does not count."""
    offset = 2
    while found := _MARKER.search(data, offset):
        marker, offset = data[found.end() - 1], found.end()
        if marker == _JPEG_END:
            return found.start()
        if marker not in _JPEG_WITHOUT_LENGTH:
            if offset + 2 > len(data):
                return None
            offset += struct.unpack_from(">H", data, offset)[0]
    return None


def extend_jpeg(data: bytes, end: int) -> bytes:
    """Put more picture data before the end marker at `end`.

    A decoder that has the whole picture skips it; one that ran out of data, because some was lost on
    the way, draws it: the two pictures differ exactly when the file is not whole.
    """
    return data[:end] + bytes(range(1, 255)) * 4 + data[end:]


def tiff_is_whole(tags: Mapping[int, Any], size: int) -> bool:
    """Whether a TIFF of `size` bytes has all the strips or tiles of its first picture, by its tags.

    Args:
        tags: tag number to value or tuple of values.
        size: of the file, in bytes.
    """
    tiled = _TILE_OFFSETS in tags
    offsets = _values(tags, _TILE_OFFSETS if tiled else _STRIP_OFFSETS)
    lengths = _values(tags, _TILE_BYTES if tiled else _STRIP_BYTES)
    width, height = _number(tags, _WIDTH, 0), _number(tags, _HEIGHT, 0)
    piece_width = _number(tags, _TILE_WIDTH, width) if tiled else width
    piece_height = _number(tags, _TILE_HEIGHT if tiled else _ROWS_PER_STRIP, height)
    if min(width, height, piece_width, piece_height) < 1:
        return False
    planes = _number(tags, _SAMPLES, 1) if _number(tags, _PLANAR, 1) == 2 else 1
    pieces = planes * -(-width // piece_width) * -(-height // piece_height)
    if not pieces <= len(offsets) == len(lengths):
        return False
    return all(start + length <= size for start, length in zip(offsets, lengths, strict=True))


def _values(tags: Mapping[int, Any], tag: int) -> tuple[int, ...]:
    value = tags.get(tag, ())
    return tuple(value) if isinstance(value, tuple | list) else (int(value),)


def _number(tags: Mapping[int, Any], tag: int, otherwise: int) -> int:
    return (*_values(tags, tag), otherwise)[0]
