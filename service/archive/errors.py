"""The faults of keeping and finding inspections."""

from models.errors import GlintError
from service.errors import ServiceError


class ArchiveSchemaError(GlintError):
    """A database that another version of Glint has made."""


class ArchiveUnavailableError(ServiceError):
    """The inspection could not be recorded, or the archive not be asked; so there is no answer either."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "archive_unavailable",
            f"The archive cannot be used: {reason.rstrip('.')}.",
            "Treat the part as not inspected; send it again once /readyz answers 200.",
        )
        self.reason = reason


class ArchiveBusyError(ServiceError):
    """Too many ask for what was recorded at the same time; inspections go on."""

    def __init__(self) -> None:
        super().__init__(
            "archive_busy",
            "Too many questions to the archive are being answered already.",
            "Ask again after the time in Retry-After.",
        )


class NotRecordedError(ServiceError):
    """The database refused this one inspection."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "not_recorded",
            f"The database refused this inspection: {reason.rstrip('.')}.",
            "Treat the part as not inspected; look for its id in the service's log.",
        )


class IdempotencyConflictError(ServiceError):
    """An Idempotency-Key that was used for another photo."""

    def __init__(self, key: str) -> None:
        super().__init__(
            "idempotency_conflict",
            f"The Idempotency-Key {key[:64]!r} was used for another photo of this part.",
            "Use a new key for every photo, and the same key only to repeat a request.",
        )


class ArchiveOffError(ServiceError):
    """A question about the past to a service that keeps nothing."""

    def __init__(self) -> None:
        super().__init__(
            "archive_off", "This service keeps no archive.", "Start it with --archive and a folder."
        )


class UnknownInspectionError(ServiceError):
    """No inspection has this id."""

    def __init__(self, inspection_id: str) -> None:
        super().__init__(
            "unknown_inspection",
            f"No inspection has the id {inspection_id[:64]!r}.",
            "Look for it with GET /inspections; it may have been removed by retention.",
        )


class PictureError(ServiceError):
    """An inspection without the picture that was asked for.

    `code` is `photo_not_kept` (by policy), `photo_removed` (by retention), `no_overlay` (none was drawn) or
    `photo_missing` (the file is gone although nothing removed it).
    """
