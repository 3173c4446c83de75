"""The raw anomaly map, kept inside the overlay's own file, where it costs little and cannot be mislaid.

In a JPEG it stands in APP10 segments (ISO/IEC 10918-1, B.2.4.6), in a PNG in a private ancillary chunk `glMp`
(W3C PNG, 5.4). Whoever shows the picture passes both over.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.formats import OverlayFormat
from models.manifest import HeatmapScale
from models.preprocessing import Placement
from models.resizing import map_on_photo

_MARK = b"GLINTMAP\0"
_APP10 = 0xEA
_SEGMENT_BYTES = 60_000
_CHUNK = b"glMp"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEAD = len(_PNG_SIGNATURE) + 25  # IHDR is the first chunk and has 13 bytes.
_LEVELS = 65535
_MOST_CELLS = 4096 * 4096

_Entry = Annotated[float, Field(allow_inf_nan=False)]
_Pose = tuple[_Entry, _Entry, _Entry, _Entry, _Entry, _Entry]


@dataclass(frozen=True)
class HeatMap:
    """An anomaly map with all that is needed to lay it over its photo.

    Attributes:
        values: float32 [h, w] on the model's grid.
        size: the model's input (height, width) in pixels.
        place: where the photo lay in that input.
        scale: the bundle's heatmap scale, in the units of `values`.
    """

    values: npt.NDArray[np.float32]
    size: tuple[int, int]
    place: Placement
    scale: HeatmapScale

    def on_photo(self) -> npt.NDArray[np.float32]:
        """The map over the photo: float32 [place.height, place.width]; see `map_on_photo`."""
        return map_on_photo(self.values, self.size, self.place)


class _Head(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    # 2 where there is a pose: who does not know of it must not lay the map down as if there were none.
    version: int = Field(ge=1, le=2)
    grid: tuple[int, int]
    size: tuple[int, int]
    place: tuple[int, int, int, int]  # top, left, height, width
    photo: tuple[int, int]  # height, width
    step: float = Field(ge=0.0, allow_inf_nan=False)
    scale: HeatmapScale
    pose: _Pose | None = None

    @model_validator(mode="after")
    def _of_its_version(self) -> "_Head":
        if (self.pose is not None) != (self.version == 2):
            raise ValueError("a pose is told in version 2")
        return self


def attach_map(picture: bytes, form: OverlayFormat, heat: HeatMap) -> bytes:
    """Put a map into an encoded overlay.

    Values are kept in 65,535 steps from 0 to the largest: off by half a step at most. Negative ones become 0.

    Raises:
        ValueError: when the picture is not of that format, or the map holds what is not a finite number.
    """
    data = _pack(heat)
    if form == "png":
        if not picture.startswith(_PNG_SIGNATURE):
            raise ValueError("the overlay is no PNG")
        body = _CHUNK + data
        chunk = struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
        return picture[:_PNG_HEAD] + chunk + picture[_PNG_HEAD:]
    if not picture.startswith(b"\xff\xd8\xff\xe0"):
        raise ValueError("the overlay is no JFIF")
    (first,) = struct.unpack_from(">H", picture, 4)
    end = 4 + first
    pieces = [data[start : start + _SEGMENT_BYTES] for start in range(0, len(data), _SEGMENT_BYTES)]
    segments = [
        struct.pack(">BBH", 0xFF, _APP10, 2 + len(_MARK) + len(piece)) + _MARK + piece for piece in pieces
    ]
    return picture[:end] + b"".join(segments) + picture[end:]


def read_map(picture: bytes) -> HeatMap | None:
    """The map inside an overlay; None if there is none.

    Raises:
        ValueError: when the map is damaged.
    """
    data = _from_png(picture) if picture.startswith(_PNG_SIGNATURE) else _from_jpeg(picture)
    if not data:
        return None
    try:
        return _unpack(data)
    except (ValueError, zlib.error, struct.error) as error:
        raise ValueError(f"the map in the overlay is damaged: {error}") from error


def _pack(heat: HeatMap) -> bytes:
    if not np.isfinite(heat.values).all():
        raise ValueError("the map holds what is not a finite number")
    values = np.maximum(heat.values, 0.0)
    step = float(values.max()) / _LEVELS
    levels = np.rint(values / step) if step > 0.0 else np.zeros_like(values)
    place = heat.place
    head = _Head(
        version=1 if place.pose is None else 2,
        grid=(heat.values.shape[0], heat.values.shape[1]),
        size=heat.size,
        place=(place.top, place.left, place.height, place.width),
        photo=(place.photo_height, place.photo_width),
        step=step,
        scale=heat.scale,
        pose=place.pose,
    )
    text = head.model_dump_json(exclude_none=True).encode()
    packed = struct.pack(">H", len(text)) + text + zlib.compress(levels.astype("<u2").tobytes(), 6)
    return struct.pack(">I", zlib.crc32(packed)) + packed


def _unpack(data: bytes) -> HeatMap:
    (checksum,) = struct.unpack_from(">I", data)
    data = data[4:]
    if zlib.crc32(data) != checksum:
        raise ValueError("its checksum differs")
    (length,) = struct.unpack_from(">H", data)
    head = _Head.model_validate_json(data[2 : 2 + length])
    cells = head.grid[0] * head.grid[1]
    if not 0 < cells <= _MOST_CELLS or min(head.grid) < 1:
        raise ValueError(f"a grid of {head.grid}")
    raw = zlib.decompressobj().decompress(data[2 + length :], 2 * cells + 1)
    if len(raw) != 2 * cells:
        raise ValueError(f"{len(raw)} bytes for a grid of {head.grid}")
    levels = np.frombuffer(raw, dtype="<u2").reshape(head.grid)
    top, left, height, width = head.place
    inside = 0 <= top < top + height <= head.size[0] and 0 <= left < left + width <= head.size[1]
    if not inside or min(head.photo) < 1 or head.size[0] * head.size[1] > _MOST_CELLS:
        raise ValueError(f"a photo of {head.photo} at {head.place} in {head.size}")
    letterboxed = (height, width) != head.size
    place = Placement(*head.photo, top, left, height, width, letterboxed, head.pose)
    return HeatMap((levels * head.step).astype(np.float32), head.size, place, head.scale)


def _from_png(picture: bytes) -> bytes:
    at = len(_PNG_SIGNATURE)
    while at + 12 <= len(picture):
        (length,) = struct.unpack_from(">I", picture, at)
        kind = picture[at + 4 : at + 8]
        if kind == _CHUNK:
            return picture[at + 8 : at + 8 + length]
        if kind == b"IDAT":
            break
        at += 12 + length
    return b""


def _from_jpeg(picture: bytes) -> bytes:
    at, pieces = 2, []
    while at + 4 <= len(picture) and picture[at] == 0xFF and 0xE0 <= picture[at + 1] <= 0xEF:
        (length,) = struct.unpack_from(">H", picture, at + 2)
        body = picture[at + 4 : at + 2 + length]
        if picture[at + 1] == _APP10 and body.startswith(_MARK):
            pieces.append(body[len(_MARK) :])
        at += 2 + length
    return b"".join(pieces)
