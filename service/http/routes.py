"""The routes. Handlers know HTTP only."""

import asyncio
import time
from datetime import datetime
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, RedirectResponse, Response

from models.decision import Limits
from models.manifest import LimitOrigins, TrunkProvenance
from service.access.rules import STATION
from service.errors import RequestError, WorkerDiedError
from service.http.answers import json_answer, picture_answer
from service.http.documentation import (
    DESCRIPTION,
    inspect_request,
    inspect_responses,
    problem_responses,
)
from service.http.fields import (
    DEADLINE_HEADER,
    IDEMPOTENCY_HEADER,
    read_deadline_ms,
    read_fields,
    read_idempotency_key,
    wanted_picture,
)
from service.http.pages import wants_page
from service.http.scopes import inspection_id_of
from service.http.uploads import Upload, read_upload
from service.inspection import InspectionService
from service.orders import Order
from service.registry import Registry
from service.settings import Settings
from service.status import Readiness
from service.telemetry.drift_watch import PartDrift

_INDEX = {
    "service": "Glint",
    "inspect": "POST /inspect",
    "parts": "/parts",
    "inspections": "/inspections",
    "station": STATION,
    "health": "/healthz",
    "readiness": "/readyz",
    "metrics": "/metrics",
    "documentation": "/docs",
    "openapi": "/openapi.json",
}

router = APIRouter()


class InputSize(BaseModel):
    """The model's input in pixels."""

    model_config = ConfigDict(frozen=True)

    height: int
    width: int


class PartAnswer(BaseModel):
    """A loaded bundle: what it tells apart, where its limits are, and where they come from."""

    model_config = ConfigDict(frozen=True)

    part: str
    version: str
    created: datetime
    classes: list[str]
    input_size: InputSize
    limits: Limits
    limit_origins: LimitOrigins
    trunk: TrunkProvenance
    provider: str = Field(description="The execution provider that really runs.")
    provider_fallback: str = Field(description="Why no GPU is used, if one was looked for.")
    precision: str = Field(description="Of the graph that runs: fp32, fp16 or int8.")
    precision_reason: str = Field(description="Why that graph was chosen.")
    drift: PartDrift | None = Field(
        description="Whether photos still look like the calibration photos; null while it is being loaded."
    )


class Alive(BaseModel):
    """The process answers and its workers live."""

    alive: bool = True


@router.post(
    "/inspect",
    summary="Inspect a photo",
    description=DESCRIPTION,
    response_class=Response,
    responses=inspect_responses(),
    openapi_extra=inspect_request(),
)
async def inspect(request: Request) -> Response:
    arrived = time.monotonic()
    settings: Settings = request.app.state.settings
    service: InspectionService = request.app.state.inspections
    picture = wanted_picture(request.headers.get("accept"))
    deadline = arrived + 1e-3 * read_deadline_ms(
        request.headers.get(DEADLINE_HEADER), settings.deadline_ms, settings.max_deadline_ms
    )
    # Whoever is refused for want of room is known by what stands in the query.
    request.state.fields = read_fields(request.query_params.multi_items())
    with service.places.take():
        upload = await _receive(request, settings.max_bytes, deadline)
        fields = read_fields([*request.query_params.multi_items(), *upload.form])
        request.state.fields = fields
        inspected = await service.inspect(
            Order(
                data=upload.data,
                inspection_id=inspection_id_of(request.scope),
                deadline=deadline,
                part=fields.part,
                serial=fields.serial,
                camera=fields.camera,
                overlay=picture or fields.overlay,
                idempotency_key=read_idempotency_key(request.headers.get(IDEMPOTENCY_HEADER)),
            )
        )
    request.state.inspection = inspected.inspection
    if inspected.repeated:
        # The answer's id is that of the inspection it tells of.
        request.state.inspection_id = inspected.inspection.id
    # An earlier answer may be without a picture, or with one of another format: then its JSON is sent.
    if picture and inspected.overlay is not None and inspected.overlay_format == picture:
        return picture_answer(inspected, picture)
    return json_answer(inspected)


async def _receive(request: Request, max_bytes: int, deadline: float) -> Upload:
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            return await read_upload(request, max_bytes)
    except TimeoutError:
        raise RequestError(
            "upload_too_slow",
            "The photo had not arrived whole before the deadline.",
            f"Send a smaller photo, or allow more time with the header {DEADLINE_HEADER}.",
        ) from None


@router.get("/parts", summary="The loaded bundles and their limits")
async def parts(request: Request) -> list[PartAnswer]:
    registry: Registry = request.app.state.registry
    drifts = request.app.state.telemetry.drift.of_parts()
    answers = []
    for part, loaded in sorted(registry.loaded.items()):
        manifest = loaded.inspector.manifest
        size = InputSize(height=manifest.preprocessing.height, width=manifest.preprocessing.width)
        answers.append(
            PartAnswer(
                part=part,
                version=manifest.version,
                created=manifest.created,
                classes=manifest.classes,
                input_size=size,
                limits=manifest.limits,
                limit_origins=manifest.limit_origins,
                trunk=manifest.trunk,
                provider=loaded.inspector.provider,
                provider_fallback=loaded.inspector.provider_fallback,
                precision=loaded.inspector.variant.precision,
                precision_reason=loaded.inspector.variant.reason,
                drift=drifts.get(part),
            )
        )
    return answers


@router.get(
    "/healthz",
    summary="Whether the process is alive",
    responses=problem_responses({503: "A worker has died."}),
)
async def healthz(request: Request) -> Alive:
    registry: Registry = request.app.state.registry
    if registry.any_worker_dead:
        raise WorkerDiedError
    return Alive()


@router.get(
    "/readyz",
    summary="Whether every bundle is loaded, warmed up and proved on its golden photos",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Not ready; `reasons` says why."}},
)
async def readyz(request: Request) -> Response:
    readiness: Readiness = request.app.state.readiness()
    return Response(
        readiness.model_dump_json(), 200 if readiness.ready else 503, media_type="application/json"
    )


@router.get("/", include_in_schema=False)
async def front_door(request: Request) -> Response:
    """The station for browsers, the index for programs."""
    if wants_page(request.headers):
        return RedirectResponse(f"{request.scope.get('root_path', '')}{STATION}", 303, {"vary": "accept"})
    return JSONResponse(_INDEX | {"version": version("glint-inspection")}, headers={"vary": "accept"})


@router.get("/api", summary="What there is")
async def index() -> dict[str, Any]:
    return _INDEX | {"version": version("glint-inspection")}
