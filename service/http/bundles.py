"""The routes that say which bundles of a part there are, put another one in place, and say who did."""

import asyncio
import logging
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.types import Scope

from models.manifest import NAME_PATTERN
from service.activations.entries import ANYBODY, Actor
from service.http.documentation import problem_responses
from service.http.scopes import inspection_id_of
from service.registry import Registry

log = logging.getLogger(__name__)

router = APIRouter()

LARGEST_HISTORY = 500

_FORGOTTEN = (
    "Until the next start, which takes the newest bundle: GLINT_STATE names no folder to keep the choice in."
)


class VersionAnswer(BaseModel):
    """A bundle of a part, as it lies on the disk."""

    model_config = ConfigDict(frozen=True)

    version: str
    created: datetime | None = Field(description="Null if it cannot be opened.")
    active: bool = Field(description="Whether it is the one that serves.")
    problem: str = Field(description="Why it cannot be opened; empty if it can.")


class Activation(BaseModel):
    """Which bundle is to serve."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(pattern=NAME_PATTERN, description="One that GET /parts/{part}/versions names.")


class ActivationAnswer(BaseModel):
    """The bundle serves now; photos accepted before get their answers from the previous one."""

    model_config = ConfigDict(frozen=True)

    part: str
    version: str
    previous: str | None = Field(description="What served before; null if the part was not served.")
    kept: bool = Field(description="Whether the choice outlives a restart.")
    note: str = Field(description="What will become of the choice, if it is not kept; else empty.")


class HistoryEntry(BaseModel):
    """A bundle came to serve; what is written down is never changed."""

    model_config = ConfigDict(frozen=True)

    time: AwareDatetime = Field(description="UTC.")
    part: str
    version: str
    previous: str | None = Field(description="What served before; the same after a mere restart.")
    by: str = Field(description="Name of the key; `anybody` without keys, `start` when the service started.")
    key_id: str | None = Field(description="Id of that key; null without one.")


@router.get(
    "/parts/{part}/versions",
    summary="The bundles of a part, the newest first",
    responses=problem_responses({404: "There is no such part.", 503: "The bundles are being looked for."}),
)
async def versions(part: str, request: Request) -> list[VersionAnswer]:
    registry: Registry = request.app.state.registry
    found = await asyncio.to_thread(registry.versions, part)
    loaded = registry.loaded.get(part)
    serving = loaded.inspector.bundle.path if loaded else None
    return [
        VersionAnswer(version=v.name, created=v.created, active=v.path == serving, problem=v.problem)
        for v in found
    ]


@router.post(
    "/parts/{part}/activate",
    summary="Put another bundle of a part in place, without dropping a photo",
    responses=problem_responses(
        {
            404: "There is no such part or version.",
            408: "The body did not arrive in time.",
            409: "It cannot be trusted, or another is being loaded; what served goes on serving.",
            413: "The body is too large.",
            422: "The body cannot be used.",
            503: "The bundles are being looked for.",
        }
    ),
)
async def activate(part: str, activation: Activation, request: Request) -> ActivationAnswer:
    registry: Registry = request.app.state.registry
    by = actor_of(request.scope)
    done = await asyncio.to_thread(registry.activate, part, activation.version, by)
    await asyncio.to_thread(request.app.state.shadows.activated, done.part, done.version)
    log.info(
        "Activated: part=%s version=%s previous=%s by %s, request=%s",
        done.part,
        done.version,
        done.previous,
        by,
        inspection_id_of(request.scope),
        extra={"part": done.part, "key_id": by.key_id},
    )
    return ActivationAnswer(
        part=done.part,
        version=done.version,
        previous=done.previous,
        kept=done.kept,
        note="" if done.kept else _FORGOTTEN,
    )


@router.get(
    "/parts/{part}/history",
    summary="Which bundles served, since when, and who put them in place; the newest first",
    responses=problem_responses(
        {404: "There is no such part.", 422: "A field cannot be used.", 503: "It cannot be looked for now."}
    ),
)
async def history(
    part: str, request: Request, limit: Annotated[int, Query(ge=1, le=LARGEST_HISTORY)] = 100
) -> list[HistoryEntry]:
    registry: Registry = request.app.state.registry
    registry.check_known(part)
    found = await asyncio.to_thread(registry.book.of, part, limit)
    return [
        HistoryEntry(
            time=each.time,
            part=each.part,
            version=each.version,
            previous=each.previous,
            by=each.by.name,
            key_id=each.by.key_id,
        )
        for each in found
    ]


def actor_of(scope: Scope) -> Actor:
    """Who sent a request, as it is written down."""
    state = scope["state"]
    return Actor(state["key_name"], state["key_id"]) if "key_id" in state else ANYBODY
