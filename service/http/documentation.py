"""What OpenAPI says of `POST /inspect`: its bodies, fields and answers, with examples that work."""

from collections.abc import Mapping
from typing import Any

from service.http.answers import PICTURE_HEADERS, InspectionAnswer
from service.http.fields import (
    DEADLINE_HEADER,
    DEFAULT_OVERLAY,
    IDEMPOTENCY_HEADER,
    LONGEST_KEY,
    MAX_LENGTH,
    OVERLAYS,
    TEXT_PATTERN,
)
from service.http.problems import MEDIA_TYPE, Problem
from service.http.uploads import IMAGE_FIELD, MULTIPART, RAW_TYPES

DESCRIPTION = """Inspect one photo of one part.

Send the photo's bytes as the body, or a form with the photo as a file in its field `image`. The fields
`part`, `serial`, `camera` and `overlay` stand in the query or in the form, each only once; an empty one
counts as not given. `part` may be left out when one bundle is loaded.

```
curl -F image=@part.jpg -F serial=A17 http://localhost:8000/inspect
curl --data-binary @part.jpg -H 'content-type: image/jpeg' 'http://localhost:8000/inspect?serial=A17&camera=cam3'
curl --data-binary @part.jpg -H 'content-type: image/jpeg' 'http://localhost:8000/inspect?overlay=none'
curl --data-binary @part.jpg -H 'content-type: image/jpeg' -H 'accept: image/jpeg' -o overlay.jpg http://localhost:8000/inspect
```

Only status 200 carries a verdict. Any other answer is a problem (RFC 9457) whose `verdict` is `invalid`: the
part has not been inspected. A photo outside the part's quality gate (too dark, blurred, of another part) gets
422 with its readings in `quality`. A model whose outputs are not finite numbers gives 500, no verdict."""

EXAMPLE_ANSWER: dict[str, Any] = {
    "id": "5f0c6d3a4b0e4f0f8f3f5b7a9d2c1e60",
    "verdict": "scratched",
    "score": 0.94,
    "needs_review": False,
    "review_reasons": [],
    "rules": ["classifier", "anomaly"],
    "classifier": {
        "probabilities": {"clean": 0.04, "scratched": 0.96},
        "defect_probability": 0.96,
        "limit": 0.31,
    },
    "anomaly": {"score": 31.2, "limit": 18.5},
    "regions": [{"box": {"x": 310, "y": 122, "width": 85, "height": 40}, "area": 1460, "peak": 31.2}],
    "quality": [{"name": "brightness", "value": 0.47, "low": 0.26, "high": 0.81, "ok": True}],
    "part": "bracket",
    "serial": "A17",
    "camera": "cam3",
    "bundle_version": "20260101-120000",
    "provider": "CPUExecutionProvider",
    "provider_fallback": "",
    "precision": "fp32",
    "image": {
        "width": 640,
        "height": 480,
        "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "media_type": "image/jpeg",
        "bit_depth": 8,
        "letterboxed": False,
        "pose": None,
    },
    "timings_ms": {
        "decode": 3.1,
        "resize": 0.4,
        "quality": 0.2,
        "queue": 0.2,
        "inference": 46.0,
        "decide": 0.6,
        "overlay": 7.9,
        "archive": 6.2,
        "total": 65.1,
    },
    "heatmap": {"media_type": "image/jpeg", "data": "/9j/4AAQSkZJRg=="},
}

EXAMPLE_PROBLEM: dict[str, Any] = {
    "type": "urn:glint:problem:unknown_part",
    "title": "No such part is loaded",
    "status": 404,
    "detail": "No bundle is loaded for the part 'bolt'. Name one of the loaded parts: bracket.",
    "code": "unknown_part",
    "verdict": "invalid",
    "id": "5f0c6d3a4b0e4f0f8f3f5b7a9d2c1e60",
}

_PROBLEM_CONTENT: dict[str, Any] = {MEDIA_TYPE: {"example": EXAMPLE_PROBLEM}}

_PROBLEMS = {
    400: "The photo is empty, or the form is broken.",
    404: "No bundle is loaded for this part.",
    408: "The upload took longer than the deadline.",
    413: "The photo has too many bytes or pixels.",
    415: "The content type is not taken, or the bytes are not a photo of a format that is.",
    422: "A field cannot be used, or the photo cannot be inspected (`code` says why).",
    500: "The model failed on this photo, or gave what cannot be trusted.",
    503: "Too many photos at a time, not ready, or it cannot be recorded; see Retry-After.",
    504: "The deadline was missed.",
}


def inspect_responses() -> dict[int | str, dict[str, Any]]:
    """The answers of `POST /inspect`, for FastAPI."""
    headers = {
        name: {"description": text, "schema": {"type": "string"}} for name, text in PICTURE_HEADERS.items()
    }
    picture = {"schema": {"type": "string", "format": "binary"}}
    return {
        200: {
            "model": InspectionAnswer,
            "description": "The verdict. Headers other than X-Glint-Id come with a picture only.",
            "headers": headers,
            "content": {
                "application/json": {"example": EXAMPLE_ANSWER},
                "image/jpeg": picture,
                "image/png": picture,
            },
        },
        **problem_responses(_PROBLEMS),
    }


def problem_responses(texts: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer, for FastAPI: what each status says."""
    return {
        status: {"model": Problem, "description": text, "content": _PROBLEM_CONTENT}
        for status, text in texts.items()
    }


def inspect_request() -> dict[str, Any]:
    """The request of `POST /inspect`: what FastAPI cannot see, since the body is read as it streams in."""
    photo = {"schema": {"type": "string", "format": "binary"}}
    fields = {name: {"type": "string", "description": text, **extra} for name, text, extra in _fields()}
    form = {
        "type": "object",
        "required": [IMAGE_FIELD],
        "additionalProperties": False,
        "properties": {
            IMAGE_FIELD: {"type": "string", "format": "binary", "description": "The photo, as a file."},
            **fields,
        },
    }
    query = [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": text,
            "schema": {"type": "string", **e},
        }
        for name, text, e in _fields()
    ]
    deadline = {
        "name": DEADLINE_HEADER,
        "in": "header",
        "required": False,
        "description": "Milliseconds until the answer is of no use; 504 after that.",
        "schema": {"type": "integer", "minimum": 1},
    }
    key = {
        "name": IDEMPOTENCY_HEADER,
        "in": "header",
        "required": False,
        "description": (
            "A name for this request, unique within the part. When it is repeated with the same photo, the "
            "recorded answer comes again, with the header Idempotent-Replay, and nothing is recorded twice."
        ),
        "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]+$"},
    }
    return {
        "parameters": [*query, deadline, key],
        "requestBody": {
            "required": True,
            "content": {**dict.fromkeys(RAW_TYPES, photo), MULTIPART: {"schema": form}},
        },
    }


def _fields() -> list[tuple[str, str, dict[str, Any]]]:
    text = {"maxLength": MAX_LENGTH, "pattern": TEXT_PATTERN}
    return [
        ("part", "Which part it shows; needed when several are loaded.", text),
        ("serial", "Repeated in the answer.", text),
        ("camera", "Repeated in the answer.", text),
        (
            "overlay",
            "Format of the heatmap in a JSON answer; `none` leaves it out.",
            {"enum": list(OVERLAYS), "default": DEFAULT_OVERLAY},
        ),
    ]
