"""What goes into the archive with an inspection, and what comes out for its answer."""

from dataclasses import dataclass

from models.answer import Inspection
from models.formats import OverlayFormat


@dataclass(frozen=True)
class Entry:
    """What is to be recorded.

    Attributes:
        photo: the encoded photo.
        overlay: the encoded overlay, if one was drawn.
        overlay_format: its format.
        request_key: what makes a repeated request known (see `Archive.request_key`).
    """

    inspection: Inspection
    photo: bytes
    overlay: bytes | None = None
    overlay_format: OverlayFormat | None = None
    request_key: str | None = None


@dataclass(frozen=True)
class Recorded:
    """What is in the archive; `repeated` if an earlier request put it there."""

    inspection: Inspection
    overlay: bytes | None
    overlay_format: OverlayFormat | None
    repeated: bool
