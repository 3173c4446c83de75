"""Whether there is anything to judge; what that takes is loaded only then."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.archive.archive import Archive
    from service.review.desk import Desk


def open_desk(archive: "Archive | None") -> "Desk | None":
    """The desk at which the archive's inspections are judged; None without an archive."""
    if archive is None:
        return None
    # It brings the database's library.
    from service.review.desk import Desk

    return Desk(archive.holdings)
