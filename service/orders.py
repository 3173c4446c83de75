"""What goes into an inspection and what comes out of it, for callers and for those who look on."""

from dataclasses import dataclass

from models.answer import Inspection
from models.formats import OverlayFormat


@dataclass(frozen=True)
class Order:
    """One photo to inspect.

    Attributes:
        data: the encoded photo.
        inspection_id: its id, also in the answer.
        deadline: a time of `time.monotonic`, after which the answer is of no use.
        part: which part it shows; None when only one is loaded.
        serial, camera: repeated in the answer.
        overlay: draw the heatmap overlay in this format; None draws none.
        idempotency_key: what a repeated request is known by, within its part.
    """

    data: bytes
    inspection_id: str
    deadline: float
    part: str | None = None
    serial: str | None = None
    camera: str | None = None
    overlay: OverlayFormat | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True)
class Inspected:
    """The inspection, whose verdict is never `invalid`, and the encoded overlay if one was asked for.

    `repeated`: the request had been answered before, and this is what it was answered then; its overlay is of
    the format of that time, and missing if none was kept.
    """

    inspection: Inspection
    overlay: bytes | None
    overlay_format: OverlayFormat | None = None
    repeated: bool = False


@dataclass(frozen=True)
class Seen:
    """A new inspection with its pictures, for whoever looks on; the verdict may be `invalid`.

    `photo` is encoded as it was sent, `overlay` as its format says.
    """

    inspection: Inspection
    photo: bytes
    overlay: bytes | None = None
    overlay_format: OverlayFormat | None = None
