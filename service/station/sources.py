"""Finds an inspection and its pictures: among the last ones, which are in memory, or in the archive."""

import logging
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from models.answer import Inspection
from models.formats import PhotoLimits
from service.archive.errors import PictureError, UnknownInspectionError
from service.archive.filters import Filters
from service.archive.records import Record
from service.past_bundles import bundle_of
from service.registry import Registry
from service.settings import Settings
from service.station.entries import Entry, entry_of_record
from service.station.pictures import Previews
from service.station.recent import Picture, Recent

if TYPE_CHECKING:
    from models.heat_map import HeatMap
    from service.archive.archive import Archive

Lack = Literal["version_gone", "no_mean"]

_WHITE = 65535
NEIGHBOURS = 4

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shown:
    """An inspection to be shown; `record` is None where there is no archive."""

    inspection: Inspection
    time: datetime
    record: Record | None


class Sources:
    """Answers from memory what it can, from the archive what it must. Safe to use from several threads."""

    def __init__(
        self, recent: Recent, archive: "Archive | None", registry: Registry, settings: Settings
    ) -> None:
        self._recent = recent
        self._archive = archive
        self._registry = registry
        limits = PhotoLimits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels)
        self._previews = Previews(limits)

    def newest(self, most: int) -> list[Entry]:
        """The newest entries of the archive; empty without one.

        Raises:
            ServiceError: when the archive cannot be asked.
        """
        if self._archive is None:
            return []
        records, _ = self._archive.page(Filters(), most)
        return [entry_of_record(record) for record in records]

    def find(self, inspection_id: str) -> Shown:
        """The inspection with this id.

        Raises:
            UnknownInspectionError: when there is none, or no archive and it was too long ago.
            ServiceError: when the archive cannot be asked.
        """
        if not re.fullmatch("[0-9a-f]{32}", inspection_id):
            raise UnknownInspectionError(inspection_id)
        if self._archive is not None:
            record = self._archive.find(inspection_id)
            return Shown(record.inspection, record.time, record)
        kept, entry = self._recent.find(inspection_id), self._recent.entry(inspection_id)
        if kept is None or entry is None:
            raise UnknownInspectionError(inspection_id)
        return Shown(kept.inspection, entry.time, None)

    def neighbours(self, shown: Shown) -> tuple[list[Entry], list[Entry]]:
        """The entries just before and just after, by the same camera, or else of the same part; by time.

        Raises:
            ServiceError: when the archive cannot be asked.
        """
        if self._archive is not None and shown.record is not None:
            before, after = self._archive.neighbours(shown.record, NEIGHBOURS)
            return [entry_of_record(each) for each in before], [entry_of_record(each) for each in after]
        inspection = shown.inspection
        alike = [entry for entry in reversed(self._recent.entries) if _is_alike(entry, inspection)]
        ids = [entry.id for entry in alike]
        if inspection.id not in ids:
            return [], []
        at = ids.index(inspection.id)
        return alike[max(0, at - NEIGHBOURS) : at], alike[at + 1 : at + 1 + NEIGHBOURS]

    def photo(self, shown: Shown) -> Picture:
        """The photo, as browsers show it, to its last pixel.

        Raises:
            PictureError: saying why there is none.
            PhotoError: when it cannot be decoded.
            ServiceError: when the archive cannot be asked.
        """
        photo, facts = self._photo(shown), shown.inspection.image
        return self._previews.displayable(photo, facts, self._white_level(shown.inspection.part))

    def overlay(self, shown: Shown) -> Picture | None:
        """The overlay, if one was kept.

        Raises:
            PictureError: when it was kept once.
            ServiceError: when the archive cannot be asked.
        """
        kept = self._recent.find(shown.inspection.id)
        if kept is not None:
            return kept.overlay
        if self._archive is None or shown.record is None or shown.record.overlay is None:
            return None
        data = self._archive.picture(shown.record, shown.record.overlay)
        return Picture(data, "image/png" if shown.record.overlay.endswith(".png") else "image/jpeg")

    def heat_map(self, shown: Shown) -> "HeatMap | None":
        """The raw map, if one was kept with the overlay.

        Raises:
            PictureError: when it was kept once.
            ServiceError: when the archive cannot be asked.
        """
        from models.heat_map import read_map

        overlay = self.overlay(shown)
        try:
            return read_map(overlay.data) if overlay else None
        except ValueError as error:
            log.error("The map of %s cannot be shown: %s.", shown.inspection.id, error)
            return None

    def lacks_difference(self, inspection: Inspection) -> Lack | None:
        """Why there is no difference to the mean clean part; None if there is one."""
        bundle = bundle_of(self._registry, inspection.part, inspection.bundle_version)
        if bundle is None:
            return "version_gone"
        from models.mean_part import MEAN_PART

        return None if MEAN_PART in bundle.manifest.files else "no_mean"

    def difference(self, shown: Shown) -> Picture:
        """How the photo differs from the mean clean part of the bundle that judged it.

        Raises:
            PictureError: saying why there is none.
            BundleError: when the mean cannot be read.
            PhotoError: when the photo cannot be decoded.
            ServiceError: when the archive cannot be asked.
        """
        inspection = shown.inspection
        bundle = bundle_of(self._registry, inspection.part, inspection.bundle_version)
        if bundle is None:
            raise PictureError(
                "version_gone",
                f"The bundle {inspection.bundle_version} of {inspection.part} is not there any more.",
                "Put it back to see the difference to its mean clean part.",
            )
        found = self._previews.difference(inspection.id, self._photo(shown), bundle)
        if found is None:
            raise PictureError(
                "no_mean",
                f"The bundle {inspection.bundle_version} of {inspection.part} holds no mean clean part.",
                "Train it again: `glint train` writes one.",
            )
        return found

    def preview(self, inspection_id: str) -> Picture:
        """The overlay, or else the photo made small.

        Raises:
            UnknownInspectionError, PictureError: when there is none.
            PhotoError: when it cannot be decoded.
            ServiceError: when the archive cannot be asked.
        """
        kept = self._recent.find(inspection_id)
        if kept is not None and kept.overlay is not None:
            return kept.overlay
        if made := self._previews.find(inspection_id):
            return made
        shown = self.find(inspection_id)
        if overlay := self.overlay(shown):
            return overlay
        return self._previews.preview(
            inspection_id, self._photo(shown), self._white_level(shown.inspection.part)
        )

    def _photo(self, shown: Shown) -> Picture:
        kept = self._recent.find(shown.inspection.id)
        if kept is not None and kept.photo is not None:
            return kept.photo
        if self._archive is None or shown.record is None:
            raise PictureError(
                "photo_removed", "The photo is not in memory any more.", "Keep an archive: GLINT_ARCHIVE."
            )
        return Picture(self._archive.picture(shown.record, shown.record.photo), shown.record.image_media_type)

    def _white_level(self, part: str) -> int:
        loaded = self._registry.loaded.get(part)
        return loaded.inspector.manifest.preprocessing.white_level if loaded else _WHITE


def _is_alike(entry: Entry, inspection: Inspection) -> bool:
    if inspection.camera:
        return entry.camera == inspection.camera
    return entry.part == inspection.part
