"""Whether there is an archive; its libraries are loaded only then."""

import logging
from typing import TYPE_CHECKING

from service.settings import Settings

if TYPE_CHECKING:
    from service.archive.archive import Archive

OFF = "none"

log = logging.getLogger(__name__)


def open_archive(settings: Settings) -> "Archive | None":
    """The archive that the settings describe, not yet started; None if they want none."""
    if settings.archive == OFF:
        log.warning("There is no archive (GLINT_ARCHIVE=none): inspections are gone once they are answered.")
        return None
    # It brings the database's library, a quarter of the time that the service takes to be imported.
    from service.archive.archive import Archive

    return Archive(settings)
