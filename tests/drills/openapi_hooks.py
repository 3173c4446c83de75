"""What the OpenAPI document cannot say, for schemathesis, which loads this file by `SCHEMATHESIS_HOOKS`.

The variables GLINT_DRILL_INSPECTION and GLINT_DRILL_JUDGEMENT name an inspection that is in the archive and a
judgement of it that came with a mask; GLINT_DRILL_UNJUDGED one that nobody has judged. GLINT_DRILL_PART and
GLINT_DRILL_CANDIDATE name a part and a version of it that can run in the shadow.
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

# By these types a photo may be sent, but not just any bytes.
schemathesis.openapi.media_type("application/octet-stream", st.sampled_from(list(PHOTOS.values())))
for _kind in ("jpeg", "png", "bmp", "tiff", "webp"):
    schemathesis.openapi.media_type(f"image/{_kind}", st.just(PHOTOS[_kind]))


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Leave out what is right by the document and refused, or answered 504, for a good reason."""
    return not (_fields_given_twice(case) or _leaves_no_time(case) or _is_no_photo(case))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Mend what cannot succeed: examples are not filtered, and ids and cursors come from the service."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.meta.phase.name == "examples":
        for name in _fields_given_twice(case):
            del case.query[name]
    if "inspection_id" in (case.path_parameters or {}):
        case.path_parameters["inspection_id"] = os.environ["GLINT_DRILL_INSPECTION"]
    if "judgement_id" in (case.path_parameters or {}):
        case.path_parameters["judgement_id"] = os.environ["GLINT_DRILL_JUDGEMENT"]
    if case.operation.path == "/parts/{part}/shadow":
        case.path_parameters["part"] = os.environ["GLINT_DRILL_PART"]
        if isinstance(case.body, dict):
            case.body["version"] = os.environ["GLINT_DRILL_CANDIDATE"]
    (case.query or {}).pop("cursor", None)
    if case.operation.path.endswith("/judgements") and isinstance(case.body, dict):
        # A label may contradict the verdict, and not any text is a picture or the id of a judgement.
        case.body.update(label=None, mask=None, supersedes=None)
        case.path_parameters["inspection_id"] = os.environ["GLINT_DRILL_UNJUDGED"]


def _is_no_photo(case: Any) -> bool:
    # What schemathesis sends of its own as a file of no declared type.
    sent = case.body.get("image") if isinstance(case.body, dict) else None
    return isinstance(sent, Binary) and sent.data in (
        FILE_SAMPLES["gif"],
        FILE_SAMPLES["pdf"],
        FILE_SAMPLES["zip"],
    )


def _fields_given_twice(case: Any) -> set[str]:
    # A field may stand in the query or in the form, but not in both.
    form = case.body if isinstance(case.body, dict) else {}
    return set(case.query or {}) & set(form)


def _leaves_no_time(case: Any) -> bool:
    deadline = str((case.headers or {}).get("X-Deadline-Ms", SHORTEST_DEADLINE_MS))
    return deadline.isdigit() and 1 <= int(deadline) < SHORTEST_DEADLINE_MS
