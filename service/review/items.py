"""What waits for people, and which of it is wanted: what callers say without knowing the database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

Order = Literal["oldest", "newest", "doubtful"]
ORDERS: tuple[Order, ...] = get_args(Order)
Reason = Literal["defect", "doubt", "sample", "chosen"]
REASONS: tuple[Reason, ...] = get_args(Reason)


@dataclass(frozen=True)
class Wish:
    """Which items are wanted, and which of them first; None does not restrict."""

    order: Order = "oldest"
    part: str | None = None
    reason: Reason | None = None


@dataclass(frozen=True)
class Item:
    """An item of the queue.

    Attributes:
        time: when it was inspected, UTC.
        reason: why it is in the queue: a defect, a doubt (`needs_review`), a sample of the clean ones, or
            chosen by a person.
        doubt: how far the score lies from 0.5, 0..0.5; a defect that one rule alone sees lies near.
        held: whether somebody is looking at it now.
    """

    inspection_id: str
    time: datetime
    part: str
    verdict: str
    reason: Reason
    doubt: float
    held: bool


@dataclass(frozen=True)
class Counts:
    """How many items wait, by reason, and how many were judged, of the parts that were asked for."""

    waiting: dict[Reason, int]
    judged: int
