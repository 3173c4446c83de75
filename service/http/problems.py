"""Every error as a problem body (RFC 9457) that no client can take for a verdict of `clean`."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from models.errors import GlintError, PhotoError
from models.quality import Reading
from service.errors import QualityGateError, ServiceError
from service.http.scopes import inspection_id_of

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1
CODE_HEADER = "x-glint-problem"

_OTHER = (422, "The photo cannot be inspected")
# Status and title by code. What is not listed is a photo that cannot be inspected.
_KNOWN: Mapping[str, tuple[int, str]] = {
    "empty": (400, "The photo is empty"),
    "malformed_body": (400, "The body cannot be read"),
    "malformed_request": (400, "The request cannot be read"),
    "unauthorized": (401, "No valid API key"),
    "forbidden": (403, "Not allowed with this key"),
    "forged": (403, "Not sent by this page"),
    "unknown_part": (404, "No such part is loaded"),
    "upload_too_slow": (408, "The upload took too long"),
    "body_too_large": (413, "The body is too large"),
    "too_many_bytes": (413, "The photo has too many bytes"),
    "too_many_pixels": (413, "The photo has too many pixels"),
    "not_an_image": (415, "Not an image"),
    "unsupported_format": (415, "The image format is not taken"),
    "target_too_long": (414, "The path and query are too long"),
    "unsupported_media_type": (415, "The content type is not taken"),
    "unknown_inspection": (404, "No such inspection"),
    "archive_off": (404, "There is no archive"),
    "photo_not_kept": (404, "The photo was not kept"),
    "photo_removed": (404, "The photo was removed"),
    "no_overlay": (404, "There is no overlay"),
    "no_mean": (404, "There is no mean clean part"),
    "version_gone": (404, "The bundle is not there any more"),
    "no_mask": (404, "There is no mask"),
    "unknown_judgement": (404, "No such judgement"),
    "judged_meanwhile": (409, "Another judgement came first"),
    "held_by_another": (409, "Another operator is looking at it"),
    "not_judgeable": (409, "There is nothing to judge"),
    "nothing_to_undo": (409, "There is nothing to undo"),
    "bad_mask": (422, "The mask cannot be used"),
    "photo_missing": (404, "The photo is missing"),
    "idempotency_conflict": (422, "The key was used for another photo"),
    "part_not_named": (422, "The part is missing"),
    "bad_field": (422, "A field cannot be used"),
    "unknown_version": (404, "No such bundle"),
    "unknown_shift": (404, "No such shift"),
    "activation_busy": (409, "Another bundle is being loaded"),
    "activation_failed": (409, "The bundle was not activated"),
    "no_shadow": (404, "Nothing runs in the shadow"),
    "shadow_busy": (409, "Another candidate is being loaded"),
    "shadow_failed": (409, "The shadow run was not begun"),
    "quality_gate": (422, "The photo is outside the quality gate"),
    "headers_too_large": (431, "The headers are too large"),
    "inference_failed": (500, "The model failed"),
    "untrustworthy_outputs": (500, "The model's answer cannot be trusted"),
    "internal": (500, "The service failed"),
    "not_recorded": (500, "The inspection could not be recorded"),
    "archive_unavailable": (503, "The archive cannot be used"),
    "archive_busy": (503, "Too many ask the archive at a time"),
    "too_many_bodies": (503, "Too many large bodies at a time"),
    "queue_full": (503, "Too many photos at a time"),
    "queue_too_long": (503, "The photos ahead take too long"),
    "worker_died": (503, "The service is ending"),
    "shutting_down": (503, "The service is ending"),
    "not_ready": (503, "Not ready"),
    "canary_failed": (503, "The model cannot be trusted now"),
    "deadline_missed": (504, "The deadline was missed"),
}


class Problem(BaseModel):
    """An error. Whatever it was about, the part has not been inspected: the verdict is `invalid`."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="`urn:glint:problem:` and the code.")
    title: str = Field(description="What kind of problem it is.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What was wrong, and what to do.")
    code: str = Field(description="Stable, for machines.")
    verdict: Literal["invalid"] = "invalid"
    id: str = Field(description="The id of this answer; also in the service's log.")
    quality: list[Reading] | None = Field(
        default=None, description="With `quality_gate`: what was read off the photo, and the limits."
    )


def code_of(error: Exception) -> str:
    """The code of the problem that an error is told as."""
    return error.code if isinstance(error, ServiceError | PhotoError) else "not_ready"


def status_of(code: str) -> int:
    """The HTTP status of a problem."""
    return _KNOWN.get(code, _OTHER)[0]


def problem_response(
    code: str,
    detail: str,
    inspection_id: str,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    quality: list[Reading] | None = None,
) -> Response:
    """Make the answer for a problem; without `status`, the code tells it."""
    known_status, title = _KNOWN.get(code, _OTHER)
    if status is not None and code not in _KNOWN:
        title = HTTPStatus(status).phrase
    problem = Problem(
        type=f"urn:glint:problem:{code}",
        title=title,
        status=status or known_status,
        detail=detail,
        code=code,
        id=inspection_id,
        quality=quality,
    )
    sent = {CODE_HEADER: code, **(headers or {})}
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        sent["retry-after"] = str(RETRY_AFTER_SECONDS)
    left_out = {"quality"} if quality is None else None
    return Response(problem.model_dump_json(exclude=left_out), problem.status, sent, MEDIA_TYPE)


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every error the application foresees with a problem body."""
    app.add_exception_handler(GlintError, _glint_problem)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _validation_problem)


async def _glint_problem(request: Request, error: Exception) -> Response:
    code = code_of(error)
    quality = error.readings if isinstance(error, QualityGateError) else None
    return problem_response(code, str(error), inspection_id_of(request.scope), quality=quality)


async def _http_problem(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    codes = {404: "not_found", 405: "method_not_allowed"}
    code = codes.get(error.status_code, f"http_{error.status_code}")
    detail = f"{request.method} {request.url.path[:128]}: {error.detail}. What there is, is listed at /docs."
    return problem_response(
        code, detail, inspection_id_of(request.scope), status=error.status_code, headers=error.headers
    )


async def _validation_problem(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return problem_response(
        "bad_field", f"{where}: {first['msg']}. Correct this field.", inspection_id_of(request.scope)
    )
