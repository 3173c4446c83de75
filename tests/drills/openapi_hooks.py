"""What the OpenAPI document cannot say, for schemathesis, which loads this file by `SCHEMATHESIS_HOOKS`."""

from typing import Any

import schemathesis
from hypothesis import strategies as st

from tests.models.photo_files import every_kind

SHORTEST_DEADLINE_MS = 5_000

# By this type a photo of any format may be sent, but not just any bytes.
schemathesis.openapi.media_type("application/octet-stream", st.sampled_from(list(every_kind().values())))


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Leave out what is right by the document and refused, or answered 504, for a good reason."""
    return not (_fields_given_twice(case) or _leaves_no_time(case))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Examples are not filtered, so mend those that give a field twice."""
    if case.meta is not None and case.meta.phase.name == "examples":
        for name in _fields_given_twice(case):
            del case.query[name]


def _fields_given_twice(case: Any) -> set[str]:
    # A field may stand in the query or in the form, but not in both.
    form = case.body if isinstance(case.body, dict) else {}
    return set(case.query or {}) & set(form)


def _leaves_no_time(case: Any) -> bool:
    deadline = str((case.headers or {}).get("X-Deadline-Ms", SHORTEST_DEADLINE_MS))
    return deadline.isdigit() and 1 <= int(deadline) < SHORTEST_DEADLINE_MS
