"""The faults of access."""

from models.errors import GlintError


class KeysError(GlintError):
    """A file of keys that cannot be read or changed."""


class ExposureError(GlintError):
    """The service would listen where others reach it, and nothing would keep them out."""
