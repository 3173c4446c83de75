"""The faults of judging and of working off the queue."""

from service.errors import ServiceError
from service.review.judgements import Judgement


class JudgedMeanwhileError(ServiceError):
    """Another judgement came first. Nothing is lost: theirs is recorded, and this one can be sent again."""

    def __init__(self, latest: Judgement) -> None:
        super().__init__(
            "judged_meanwhile",
            f"{latest.operator} judged this part meanwhile, at {latest.time:%H:%M:%S} UTC: {latest.words}.",
            f"Look at both. To put this one in its place, send it again with `supersedes` {latest.id}.",
        )


class UnknownJudgementError(ServiceError):
    """A predecessor or a mask that is not there."""

    def __init__(self, judgement_id: str) -> None:
        super().__init__(
            "unknown_judgement",
            f"This inspection has no such judgement: {judgement_id[:64]!r}.",
            "See GET /inspections/{id}/judgements for those it has.",
        )


class NoMaskError(ServiceError):
    """A judgement without a mask."""

    def __init__(self) -> None:
        super().__init__(
            "no_mask",
            "No mask came with this judgement, or it went with its photo.",
            "Draw one and judge again.",
        )


class NotJudgeableError(ServiceError):
    """An inspection that gave no verdict."""

    def __init__(self) -> None:
        super().__init__(
            "not_judgeable",
            "This inspection gave no verdict that could be accepted or overruled.",
            "Look at the part itself, and have it inspected again.",
        )


class NothingToUndoError(ServiceError):
    """An undo where no judgement stands."""

    def __init__(self) -> None:
        super().__init__("nothing_to_undo", "No judgement of this part stands.", "Judge it instead.")


class HeldError(ServiceError):
    """An item of the queue that another operator is looking at."""

    def __init__(self) -> None:
        super().__init__(
            "held_by_another",
            "Another operator is looking at this part.",
            "Take the next one, or judge it all the same: nothing is lost.",
        )
