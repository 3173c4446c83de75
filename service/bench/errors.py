"""What stands in the way of a measurement."""

from models.errors import GlintError


class BenchError(GlintError):
    """The service under measurement did not start, ended, or stopped answering."""
