"""What the OpenAPI document cannot say, for schemathesis, which loads this file by `SCHEMATHESIS_HOOKS`."""

import os
import re
from typing import Any

import schemathesis
from hypothesis import strategies as st

from tests.models.photo_files import every_kind

SHORTEST_DEADLINE_MS = 5_000
KNOWN_INSPECTION = "GLINT_KNOWN_INSPECTION"

# By this type a photo of any format may be sent, but not just any bytes.
schemathesis.openapi.media_type("application/octet-stream", st.sampled_from(list(every_kind().values())))


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Leave out what is right by the document and refused, or answered 504, for a good reason."""
    reasons = (_fields_given_twice, _leaves_no_time, _invented_cursor, _another_format)
    return not any(reason(case) for reason in reasons)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Mend the examples, which are not filtered; ask for an inspection that there is."""
    if case.meta is not None and case.meta.phase.name == "examples":
        for name in _fields_given_twice(case) | _invented_cursor(case):
            del case.query[name]
    if KNOWN_INSPECTION in os.environ and _matches(case, "inspection_id"):
        case.path_parameters["inspection_id"] = os.environ[KNOWN_INSPECTION]


def _fields_given_twice(case: Any) -> set[str]:
    # A field may stand in the query or in the form, but not in both.
    form = case.body if isinstance(case.body, dict) else {}
    return set(case.query or {}) & set(form)


def _invented_cursor(case: Any) -> set[str]:
    # Only a page's own `next_cursor` is one.
    return {"cursor"} & set(case.query or {})


def _another_format(case: Any) -> bool:
    # The document cannot say which formats of a picture a form takes.
    image = case.body.get("image") if isinstance(case.body, dict) else None
    data = getattr(image, "data", image)
    return isinstance(data, bytes) and data.startswith(b"GIF8")


def _matches(case: Any, name: str) -> bool:
    # What was made to break the rules of an id must stay as it is.
    value = (case.path_parameters or {}).get(name)
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{32}", value) is not None


def _leaves_no_time(case: Any) -> bool:
    deadline = str((case.headers or {}).get("X-Deadline-Ms", SHORTEST_DEADLINE_MS))
    return deadline.isdigit() and 1 <= int(deadline) < SHORTEST_DEADLINE_MS
