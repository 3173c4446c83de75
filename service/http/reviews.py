"""The routes to the review queue: what waits, and leases, so that two operators get different items."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.http.archive import InspectionId, PartName
from service.http.documentation import problem_responses
from service.http.judgements import desk_of, known
from service.review.items import Item, Order, Reason, Wish

_LARGEST_PAGE = 200

router = APIRouter(tags=["review"])

_PROBLEMS = problem_responses(
    {
        404: "There is none; `code` says why.",
        408: "The body did not arrive in time.",
        413: "The body is too large.",
        422: "A field cannot be used.",
        503: "The archive cannot be asked now.",
    }
)
_HELD = problem_responses({409: "Another operator is looking at it."})

_Holder = Annotated[
    str,
    Field(pattern="^[0-9a-f]{16,64}$", description="Any name of the asking screen that no other has: hex."),
]


class ReviewItem(BaseModel):
    """An inspection that waits for a person."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    inspection_id: str
    time: AwareDatetime = Field(description="When it was inspected, UTC.")
    part: str
    verdict: str
    reason: Reason = Field(
        description="`defect`; `doubt`: it needs review; `sample` of the clean ones; or `chosen` by a person."
    )
    doubt: float = Field(description="How far the score lies from the limit, 0..0.5.")
    held: bool = Field(description="Whether somebody is looking at it now.")

    @classmethod
    def of(cls, item: Item) -> "ReviewItem":
        """The answer for an item."""
        return cls.model_validate(item)


class ReviewQueue(BaseModel):
    """The first of those that wait, and how many there are."""

    model_config = ConfigDict(frozen=True)

    items: list[ReviewItem]
    waiting: dict[Reason, int]
    judged: int


class Listing(BaseModel):
    """Which items are wanted, and how many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    order: Order = "oldest"
    part: PartName | None = None
    reason: Reason | None = None
    limit: int = Field(default=50, ge=1, le=_LARGEST_PAGE)

    def wish(self) -> Wish:
        """Without the number."""
        return Wish(self.order, self.part, self.reason)


class Taking(BaseModel):
    """Who wants the next item, and which."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    holder: _Holder
    order: Order = "oldest"
    part: PartName | None = None
    reason: Reason | None = None


class Holding(BaseModel):
    """Who holds an item, or gives it back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    holder: _Holder
    give_back: bool = Field(default=False, description="Give it back, for anybody to take.")
    put_off: bool = Field(default=False, description="Give it back; it comes again in ten minutes.")


class Taken(BaseModel):
    """The item that is leased now; null when nothing waits that nobody has."""

    model_config = ConfigDict(frozen=True)

    inspection_id: str | None


@router.get("/reviews", summary="What waits for a person", responses=_PROBLEMS)
def reviews(request: Request, wanted: Annotated[Listing, Query()]) -> ReviewQueue:
    desk = desk_of(request)
    counts = desk.counts(wanted.part)
    items = [ReviewItem.of(item) for item in desk.waiting(wanted.wish(), wanted.limit)]
    return ReviewQueue(items=items, waiting=counts.waiting, judged=counts.judged)


@router.post("/reviews/next", summary="Take the next item, for 90 seconds", responses=_PROBLEMS)
def take(request: Request, wanted: Taking) -> Taken:
    wish = Wish(wanted.order, wanted.part, wanted.reason)
    return Taken(inspection_id=desk_of(request).take(wanted.holder, wish))


@router.post(
    "/reviews/{inspection_id}/lease",
    summary="Hold an item for another 90 seconds, or give it back",
    responses={**_PROBLEMS, **_HELD},
)
def lease(request: Request, inspection_id: InspectionId, wanted: Holding) -> Taken:
    desk = desk_of(request)
    if wanted.give_back or wanted.put_off:
        desk.release(known(inspection_id), wanted.holder, put_off=wanted.put_off)
        return Taken(inspection_id=None)
    desk.hold(known(inspection_id), wanted.holder)
    return Taken(inspection_id=inspection_id)
