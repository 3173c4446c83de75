"""What was inspected last, with pictures, so that the board neither waits for the archive nor needs one."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from models.answer import Inspection
from models.formats import OVERLAY_MEDIA_TYPES
from service.orders import Seen
from service.station.entries import Entry

MOST_ENTRIES = 200
MOST_PICTURE_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Picture:
    """An encoded picture."""

    data: bytes
    media_type: str


@dataclass(frozen=True)
class Pictures:
    """What was kept of one inspection: the overlay if one was drawn; the photo if nobody else keeps it."""

    inspection: Inspection
    photo: Picture | None
    overlay: Picture | None

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(len(picture.data) for picture in (self.photo, self.overlay) if picture is not None)


class Recent:
    """The newest entries, and as many of their pictures as fit. Safe to use from several threads."""

    def __init__(self, *, keeps_photos: bool, most_bytes: int = MOST_PICTURE_BYTES) -> None:
        """`keeps_photos`: not only overlays, since there is no archive that has the photos."""
        self._keeps_photos = keeps_photos
        self._most_bytes = most_bytes
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._pictures: OrderedDict[str, Pictures] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def entries(self) -> list[Entry]:
        """The newest first."""
        with self._lock:
            return list(reversed(self._entries.values()))

    def entry(self, inspection_id: str) -> Entry | None:
        """The entry with this id, if it is still here."""
        with self._lock:
            return self._entries.get(inspection_id)

    def add(self, entry: Entry) -> None:
        """Take the newest entry in; an older one with the same id goes."""
        with self._lock:
            self._entries[entry.id] = entry
            self._entries.move_to_end(entry.id)
            while len(self._entries) > MOST_ENTRIES:
                self._entries.popitem(last=False)

    def add_older(self, entries: list[Entry]) -> None:
        """Put entries from before the start behind those that are here; `entries` are the newest first."""
        with self._lock:
            older = {entry.id: entry for entry in reversed(entries) if entry.id not in self._entries}
            self._entries = OrderedDict([*older.items(), *self._entries.items()][-MOST_ENTRIES:])

    def keep(self, seen: Seen) -> None:
        """Keep the pictures of an inspection, and let go of the oldest that do not fit any more."""
        overlay = None
        if seen.overlay is not None and seen.overlay_format is not None:
            overlay = Picture(seen.overlay, OVERLAY_MEDIA_TYPES[seen.overlay_format])
        photo = Picture(seen.photo, seen.inspection.image.media_type) if self._keeps_photos else None
        pictures = Pictures(seen.inspection, photo, overlay)
        with self._lock:
            self._pictures[seen.inspection.id] = pictures
            self._bytes += pictures.size
            while self._bytes > self._most_bytes or len(self._pictures) > MOST_ENTRIES:
                _, gone = self._pictures.popitem(last=False)
                self._bytes -= gone.size

    def find(self, inspection_id: str) -> Pictures | None:
        """The pictures of an inspection, if they are still here."""
        with self._lock:
            return self._pictures.get(inspection_id)
