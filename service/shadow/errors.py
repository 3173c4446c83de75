"""The faults of shadow runs. None of them is a fault of an inspection."""

from service.errors import ServiceError


class ShadowError(ServiceError):
    """A shadow run could not be begun."""

    def __init__(self, problem: str, remedy: str, code: str = "shadow_failed") -> None:
        super().__init__(code, problem, remedy)


class NoShadowError(ServiceError):
    """No bundle of the part runs in the shadow."""

    def __init__(self, part: str) -> None:
        super().__init__(
            "no_shadow",
            f"No bundle of {part} runs in the shadow of the active one.",
            f"Begin with POST /parts/{part}/shadow.",
        )


class CandidateFaultError(Exception):
    """The candidate could not judge this photo; it goes on with the next."""


class CandidateLostError(Exception):
    """The candidate's process has ended, does not answer, or cannot be trusted any more."""
