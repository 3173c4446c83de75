"""The routes that say which bundles of a part there are, and put another one in place."""

import asyncio
import logging
from datetime import datetime

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from models.manifest import NAME_PATTERN
from service.http.documentation import problem_responses
from service.http.scopes import inspection_id_of
from service.registry import Registry

log = logging.getLogger(__name__)

router = APIRouter()

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
    done = await asyncio.to_thread(registry.activate, part, activation.version)
    key_id = request.scope["state"].get("key_id")
    log.info(
        "Activated: part=%s version=%s previous=%s by %s, request=%s",
        done.part,
        done.version,
        done.previous,
        key_id or "anybody",
        inspection_id_of(request.scope),
        extra={"part": done.part, "key_id": key_id},
    )
    return ActivationAnswer(
        part=done.part,
        version=done.version,
        previous=done.previous,
        kept=done.kept,
        note="" if done.kept else _FORGOTTEN,
    )
