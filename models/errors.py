"""The faults a user can act on."""


class GlintError(Exception):
    """Says what is wrong with which file or field, and what to do next.

    Attributes:
        problem: what was wrong, naming the file or field.
        remedy: what the user can do about it.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}"


class UsageError(GlintError):
    """An option whose value cannot be used, or a command that is not installed."""


class PhotoError(GlintError):
    """A photo that cannot be inspected. `code` is stable and meant for machines."""

    def __init__(self, code: str, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.code = code


class BundleError(GlintError):
    """A bundle that is incomplete, altered or of another schema."""


class DeviceError(GlintError):
    """The execution device that was asked for is not the one that would run."""


class PrecisionError(GlintError):
    """The precision that was asked for is none that the bundle has, or that the device runs."""


class DatasetError(GlintError):
    """A folder of photos that cannot be trained or evaluated on."""


class TrunkError(GlintError):
    """Trunk weights that cannot be had or do not fit."""


class ExportError(GlintError):
    """An exported graph that does not give what the torch model gives."""
