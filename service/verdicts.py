"""What a verdict amounts to, for whoever counts or colours it."""

from typing import Literal

from models.decision import CLEAN, INVALID

Kind = Literal["clean", "defect", "invalid"]


def kind_of(verdict: str) -> Kind:
    """What a verdict amounts to; `invalid` is a part that was not inspected."""
    if verdict == INVALID:
        return "invalid"
    return "clean" if verdict == CLEAN else "defect"
