"""What the OpenAPI document cannot say, for schemathesis, which loads this file by `SCHEMATHESIS_HOOKS`.

The variable GLINT_DRILL_INSPECTION names an inspection that is in the archive.
"""

import os
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.file_samples import FILE_SAMPLES
from schemathesis.transport.serialization import Binary

from tests.models.photo_files import every_kind

SHORTEST_DEADLINE_MS = 5_000
PHOTOS = every_kind()

# By this type a photo of any format may be sent, but not just any bytes.
schemathesis.openapi.media_type("application/octet-stream", st.sampled_from(list(PHOTOS.values())))


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Leave out what is right by the document and refused, or answered 504, for a good reason."""
    return not (_fields_given_twice(case) or _leaves_no_time(case) or _invented_cursor(case))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Mend what is right by the document and cannot succeed: examples are not filtered, ids must be known."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.meta.phase.name == "examples":
        for name in _fields_given_twice(case) | _invented_cursor(case):
            del case.query[name]
    if "inspection_id" in (case.path_parameters or {}):
        case.path_parameters["inspection_id"] = os.environ["GLINT_DRILL_INSPECTION"]
    # schemathesis' own files are a GIF, a PDF and pictures of one black pixel.
    if _is_sample(case.body):
        case.body = Binary(PHOTOS[case.media_type.removeprefix("image/")])
    if isinstance(case.body, dict) and _is_sample(case.body.get("image")):
        case.body["image"] = Binary(PHOTOS["jpeg"])


def _is_sample(value: Any) -> bool:
    return (value.data if isinstance(value, Binary) else value) in FILE_SAMPLES.values()


def _fields_given_twice(case: Any) -> set[str]:
    # A field may stand in the query or in the form, but not in both.
    form = case.body if isinstance(case.body, dict) else {}
    return set(case.query or {}) & set(form)


def _invented_cursor(case: Any) -> set[str]:
    # Only a page's own `next_cursor` is one.
    return {"cursor"} & set(case.query or {})


def _leaves_no_time(case: Any) -> bool:
    deadline = str((case.headers or {}).get("X-Deadline-Ms", SHORTEST_DEADLINE_MS))
    return deadline.isdigit() and 1 <= int(deadline) < SHORTEST_DEADLINE_MS
