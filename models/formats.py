"""The formats of photos and overlays, and how large a photo may be."""

from dataclasses import dataclass
from typing import Literal

MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "WEBP": "image/webp",
}
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")

OverlayFormat = Literal["jpeg", "png"]
OVERLAY_MEDIA_TYPES: dict[OverlayFormat, str] = {"jpeg": "image/jpeg", "png": "image/png"}


@dataclass(frozen=True)
class PhotoLimits:
    """What one photo may cost: `max_bytes` encoded, `max_pixels` decoded (checked before decoding)."""

    max_bytes: int = 32 * 1024 * 1024
    max_pixels: int = 64_000_000
