"""What the archive says of itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ArchiveStatus:
    """The archive at one moment.

    Attributes:
        failure: why nothing can be recorded now; empty when all is well.
        waiting: records that wait to be written.
        oldest_seconds: for how long the oldest of them has been waiting.
        written: records written since the start.
        free_bytes: free space where photos or the database lie, the smaller; None where nobody can tell (S3).
        low_water: photos are being removed for space, or soon will be.
        removed: photos that retention has removed since the start.
    """

    failure: str
    waiting: int
    oldest_seconds: float
    written: int
    free_bytes: int | None
    low_water: bool
    removed: int
