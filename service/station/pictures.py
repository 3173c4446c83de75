"""Photos in a form that browsers show: to their last pixel, or small for the board.

What touches pixels is imported when it is needed: the service starts without it.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from models.answer import ImageFacts
from models.formats import PhotoLimits
from service.station.recent import Picture

if TYPE_CHECKING:
    from models.bundle import Bundle

_SHOWN_BY_BROWSERS = ("image/jpeg", "image/png", "image/webp", "image/bmp")
_MOST_PREVIEWS = 16


class Previews:
    """Photos for browsers. One is decoded at a time, since the line's own photos need the cores."""

    def __init__(self, limits: PhotoLimits) -> None:
        self._limits = limits
        self._made: OrderedDict[str, Picture] = OrderedDict()
        self._differences: OrderedDict[str, Picture] = OrderedDict()
        self._lock = threading.Lock()

    def displayable(self, photo: Picture, facts: ImageFacts, white_level: int) -> Picture:
        """The photo as the model saw its colours, at its own size; unchanged if browsers show it so.

        Args:
            white_level: the 16-bit value that means white.

        Raises:
            PhotoError: when it cannot be decoded.
        """
        if photo.media_type in _SHOWN_BY_BROWSERS and facts.bit_depth == 8:
            return photo
        from models.overlay import encode_picture
        from models.photo import decode_photo

        with self._lock:
            pixels = decode_photo(photo.data, white_level=white_level, limits=self._limits).pixels
            return Picture(encode_picture(pixels, "png"), "image/png")

    def find(self, inspection_id: str) -> Picture | None:
        """The small photo of an inspection, if it was made lately."""
        # Without the lock, which is held while another is decoded.
        return self._made.get(inspection_id)

    def preview(self, inspection_id: str, photo: Picture, white_level: int) -> Picture:
        """The photo as JPEG, its longer side at most that of an overlay.

        Raises:
            PhotoError: when it cannot be decoded.
        """
        with self._lock:
            return _once(self._made, inspection_id, lambda: self._make(photo, white_level))

    def difference(self, inspection_id: str, photo: Picture, bundle: "Bundle") -> Picture | None:
        """How the photo differs from the bundle's mean clean part, as PNG; None if the bundle has no mean.

        Raises:
            BundleError: when the mean or the template cannot be read.
            PhotoError: when the photo cannot be decoded.
        """
        from models.mean_part import draw_difference, read_mean
        from models.overlay import encode_picture
        from models.photo import decode_photo
        from models.sight import Sight

        mean = read_mean(bundle)
        if mean is None:
            return None

        def draw() -> Picture:
            sight = Sight.of(bundle)
            pixels = decode_photo(
                photo.data, white_level=sight.preprocessing.white_level, limits=self._limits
            ).pixels
            return Picture(encode_picture(draw_difference(pixels, mean, sight), "png"), "image/png")

        with self._lock:
            return _once(self._differences, inspection_id, draw)

    def _make(self, photo: Picture, white_level: int) -> Picture:
        from models.overlay import MAX_SIDE, encode_picture
        from models.photo import decode_photo
        from models.resizing import resize

        pixels = decode_photo(photo.data, white_level=white_level, limits=self._limits).pixels
        shrink = min(1.0, MAX_SIDE / max(pixels.shape[:2]))
        height, width = (max(1, round(side * shrink)) for side in pixels.shape[:2])
        return Picture(encode_picture(resize(pixels, height, width), "jpeg"), "image/jpeg")


def _once(made: OrderedDict[str, Picture], name: str, make: Callable[[], Picture]) -> Picture:
    """What was made of this name before, or else is made now; the oldest go when there are too many."""
    if name not in made:
        made[name] = make()
        if len(made) > _MOST_PREVIEWS:
            made.popitem(last=False)
    return made[name]
