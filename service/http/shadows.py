"""The routes of shadow runs: a candidate judges beside the active bundle, and no answer changes."""

import asyncio
import logging
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from models.manifest import NAME_PATTERN
from service.errors import ServiceError
from service.http.bundles import actor_of
from service.http.documentation import problem_responses
from service.registry import Registry
from service.shadow.comparison import Comparison
from service.shadow.shadows import Shadows, ShadowStatus

log = logging.getLogger(__name__)

router = APIRouter()

_NOT_FOUND = {404: "There is no such part, or nothing runs in its shadow."}
_PROBLEMS = problem_responses({**_NOT_FOUND, 503: "The bundles are being looked for."})


class ShadowOrder(BaseModel):
    """Which bundle is to run in the shadow."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(pattern=NAME_PATTERN, description="One that GET /parts/{part}/versions names.")


class Flips(BaseModel):
    """Parts that would have gone another way."""

    model_config = ConfigDict(frozen=True)

    active: Literal["clean", "defect", "invalid"] = Field(description="What the answer was.")
    candidate: Literal["clean", "defect", "invalid"] = Field(description="What it would have been.")
    count: int


class ComparisonAnswer(BaseModel):
    """Photos that both have judged. Rates are shares 0..1; null without any photo."""

    model_config = ConfigDict(frozen=True)

    judged: int
    agreement: float | None = Field(description="Share of parts that would have gone the same way.")
    active_reject_rate: float | None
    candidate_reject_rate: float | None
    flips: list[Flips] = Field(description="The commonest first.")

    @classmethod
    def of(cls, comparison: Comparison) -> "ComparisonAnswer":
        """The answer for a comparison."""
        return cls(
            judged=comparison.judged,
            agreement=comparison.agreed.rate,
            active_reject_rate=comparison.active_rejects.rate,
            candidate_reject_rate=comparison.candidate_rejects.rate,
            flips=[Flips(active=a, candidate=c, count=count) for (a, c), count in comparison.flips.items()],
        )


class ShadowAnswer(BaseModel):
    """A shadow run, and what it has shown so far."""

    model_config = ConfigDict(frozen=True)

    part: str
    version: str = Field(description="The candidate.")
    active_version: str | None = Field(description="The bundle that serves.")
    state: Literal["running", "failed"]
    failure: str = Field(description="Why it judges nothing any more; empty while it does.")
    since: AwareDatetime | None
    provider: str = Field(description="The execution provider that the candidate really runs on.")
    precision: str
    judged: int = Field(description="Photos judged in this run.")
    dropped: int = Field(description="Photos that it had no time for.")
    faults: int = Field(description="Photos that it failed on.")
    last_fault: str
    kept: bool = Field(description="Whether a restart goes on with it.")
    comparison: ComparisonAnswer | None = Field(
        description="With the bundle that serves now; with an archive, over all runs of the two. "
        "Null while the archive cannot be asked."
    )


@router.get(
    "/parts/{part}/shadow",
    summary="The candidate in the shadow, and how it compares",
    responses=_PROBLEMS,
)
def shadow(part: str, request: Request) -> ShadowAnswer:
    registry: Registry = request.app.state.registry
    registry.check_known(part)
    shadows: Shadows = request.app.state.shadows
    return _answer(request, shadows.status(part))


@router.post(
    "/parts/{part}/shadow",
    summary="Let a bundle judge what the active one has judged, for comparison alone",
    responses=problem_responses(
        {
            404: "There is no such part or version.",
            408: "The body did not arrive in time.",
            409: "It cannot be trusted, serves already, or another is being loaded.",
            413: "The body is too large.",
            422: "The body cannot be used.",
            503: "The bundles are being looked for.",
        }
    ),
)
async def begin_shadow(part: str, order: ShadowOrder, request: Request) -> ShadowAnswer:
    shadows: Shadows = request.app.state.shadows
    status = await asyncio.to_thread(shadows.start, part, order.version)
    by = actor_of(request.scope)
    log.info(
        "In the shadow: part=%s version=%s by %s",
        part,
        order.version,
        by,
        extra={"part": part, "key_id": by.key_id},
    )
    return await asyncio.to_thread(_answer, request, status)


@router.delete(
    "/parts/{part}/shadow",
    status_code=204,
    summary="End the shadow run of a part",
    responses=_PROBLEMS,
)
async def end_shadow(part: str, request: Request) -> None:
    shadows: Shadows = request.app.state.shadows
    await asyncio.to_thread(shadows.stop, part)
    by = actor_of(request.scope)
    log.info(
        "The shadow run of %s was ended by %s",
        part,
        by,
        extra={"part": part, "key_id": by.key_id},
    )


def _answer(request: Request, status: ShadowStatus) -> ShadowAnswer:
    registry: Registry = request.app.state.registry
    shadows: Shadows = request.app.state.shadows
    loaded = registry.loaded.get(status.part)
    active = loaded.inspector.manifest.version if loaded else None
    try:
        compared = ComparisonAnswer.of(shadows.ledger.comparison(status.part, status.version, active or ""))
    except ServiceError as error:
        # A run that was begun must not look as if it were not.
        log.warning("The comparison of %s cannot be asked for: %s", status.part, error)
        compared = None
    return ShadowAnswer(
        part=status.part,
        version=status.version,
        active_version=active,
        state=status.state,
        failure=status.failure,
        since=status.since,
        provider=status.provider,
        precision=status.precision,
        judged=status.counts.judged,
        dropped=status.counts.dropped,
        faults=status.counts.faults,
        last_fault=status.last_fault,
        kept=status.kept,
        comparison=compared,
    )
