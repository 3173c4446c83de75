"""The faults of serving: each has a stable code, meant for machines."""

from collections.abc import Sequence

from models.errors import GlintError
from models.quality import Reading, refusals

_TRY_AGAIN = "Send the photo again after the time in Retry-After."


class SettingsError(GlintError):
    """A setting that does not hold."""


class ServiceError(GlintError):
    """A photo was not inspected. `code` is stable and meant for machines."""

    def __init__(self, code: str, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.code = code


class RequestError(ServiceError):
    """A request that says something impossible: a field, a header or a body."""


class QueueFullError(ServiceError):
    """More photos are waiting than are taken in at a time."""

    def __init__(self, capacity: int) -> None:
        super().__init__("queue_full", f"{capacity} photos are being inspected or are waiting.", _TRY_AGAIN)


class QueueTooLongError(ServiceError):
    """The photos ahead will take longer than this one may wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            "queue_too_long",
            f"The photos ahead will take {seconds:.1f} s, and this one's deadline is sooner.",
            "Send fewer photos at a time, or allow more time with the header X-Deadline-Ms.",
        )


class DeadlineError(ServiceError):
    """The answer would come too late, so no more time was spent on it."""

    def __init__(self) -> None:
        super().__init__(
            "deadline_missed",
            "The photo could not be inspected before its deadline.",
            "Send fewer photos at a time, or allow more time with the header X-Deadline-Ms.",
        )


class WorkerDiedError(ServiceError):
    """The thread that runs the model has ended, and the process is about to."""

    def __init__(self) -> None:
        super().__init__(
            "worker_died",
            "The model's worker has died; the service is about to end.",
            "Send the photo again once the service has been restarted.",
        )


class DeviceLostError(ServiceError):
    """The device no longer runs the model, and only a new process may bring it back."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "worker_died",
            f"The device that runs the model is lost: {reason}",
            "Send the photo again once the service has been restarted.",
        )


class ShuttingDownError(ServiceError):
    """The service takes nothing new in."""

    def __init__(self) -> None:
        super().__init__(
            "shutting_down", "The service is shutting down.", "Send the photo again once it is back."
        )


class InferenceError(ServiceError):
    """The model failed on this photo."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "inference_failed",
            f"The model failed on this photo: {reason}",
            "Treat the part as not inspected; check the bundle with `glint verify`.",
        )


class UntrustworthyError(ServiceError):
    """The model gave something that no decision can rest on."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(
            "untrustworthy_outputs",
            f"No verdict can be given: {'; '.join(reasons)}.",
            "Treat the part as not inspected; check the bundle with `glint verify`.",
        )


class QualityGateError(ServiceError):
    """The photo lies outside what the part's clean photos were like. `readings` holds all of them."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        super().__init__(
            "quality_gate",
            f"The photo is outside the part's quality gate: {'; '.join(refusals(readings))}.",
            "Treat the part as not inspected; look at the photo, the light, the lens and the fixture.",
        )
        self.readings = list(readings)


class CanaryFailedError(ServiceError):
    """The part's model gave a golden photo another result than when it was made, or none."""

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(
            "canary_failed",
            f"{_distrust(part)}: {reason}.",
            "Treat the part as not inspected; /readyz answers 200 once a golden photo is judged right again.",
        )


def _distrust(part: str) -> str:
    return f"The model of {part} cannot be trusted now"


def is_of_canary(problem: str, part: str) -> bool:
    """Whether this is the problem of a `CanaryFailedError`; records of verdicts taken back hold it."""
    return problem.startswith(_distrust(part))


class UnknownVersionError(ServiceError):
    """There is no such bundle of the part."""

    def __init__(self, part: str, version: str, known: Sequence[str]) -> None:
        super().__init__(
            "unknown_version",
            f"There is no complete bundle {version[:64]!r} of the part {part}.",
            f"Name one of: {', '.join(known) or 'none'}.",
        )


class ActivationError(ServiceError):
    """Another version could not be put in place of the one that serves, which goes on serving."""

    def __init__(self, code: str, problem: str, remedy: str) -> None:
        super().__init__(code, problem, remedy)


class NotReadyError(ServiceError):
    """A part that cannot be inspected yet, or not any more."""

    def __init__(self, reason: str) -> None:
        super().__init__("not_ready", reason, "Ask /readyz until it answers 200, then send the photo again.")


class UnknownPartError(ServiceError):
    """No bundle is loaded for the part that was named."""

    def __init__(self, part: str, loaded: Sequence[str]) -> None:
        super().__init__(
            "unknown_part",
            f"No bundle is loaded for the part {part[:64]!r}.",
            f"Name one of the loaded parts: {', '.join(loaded)}.",
        )


class PartNotNamedError(ServiceError):
    """Several parts are loaded and none was named."""

    def __init__(self, loaded: Sequence[str]) -> None:
        super().__init__(
            "part_not_named",
            f"No part was named, and {len(loaded)} are loaded.",
            f"Add the field `part`: {' or '.join(loaded)}.",
        )


def reason_of(error: BaseException) -> str:
    """The first line of what an exception says; its class's name if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
