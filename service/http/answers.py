"""The answers: an inspection as JSON with its overlay, or the overlay itself with the verdict in headers."""

import base64
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from models.answer import Inspection
from models.formats import OVERLAY_MEDIA_TYPES, OverlayFormat
from service.orders import Inspected

REPLAY_HEADER = "Idempotent-Replay"

PICTURE_HEADERS = {
    "X-Glint-Id": "The inspection's id.",
    "X-Glint-Verdict": "`clean`, a defect class, or `anomalous`.",
    "X-Glint-Score": "0..1; at least 0.5 exactly when the verdict is a defect.",
    "X-Glint-Needs-Review": "`true` or `false`.",
    "X-Glint-Part": "The part.",
    "X-Glint-Bundle-Version": "The bundle's version.",
    "X-Glint-Provider": "The execution provider that really ran.",
    "X-Glint-Serial": "The serial that was sent; left out without one.",
    "X-Glint-Camera": "The camera that was sent; left out without one.",
    REPLAY_HEADER: "`true` if the request had been answered before; with JSON too.",
}


class Heatmap(BaseModel):
    """The overlay: the photo at its own aspect with heat where the anomaly map is near or above the limit."""

    model_config = ConfigDict(frozen=True)

    media_type: str = Field(description="`image/jpeg` or `image/png`.")
    data: str = Field(description="The picture, base64 (RFC 4648, section 4).")


class InspectionAnswer(Inspection):
    """What `POST /inspect` answers. `heatmap` is left out with `overlay=none`."""

    heatmap: Heatmap | None = None


def json_answer(inspected: Inspected) -> Response:
    """The inspection as JSON, with the overlay in it if there is one."""
    inspection, form = inspected.inspection, inspected.overlay_format
    headers = {REPLAY_HEADER: "true"} if inspected.repeated else None
    if inspected.overlay is None or form is None:
        return Response(inspection.model_dump_json(), headers=headers, media_type="application/json")
    heatmap = Heatmap(
        media_type=OVERLAY_MEDIA_TYPES[form], data=base64.b64encode(inspected.overlay).decode("ascii")
    )
    answer = InspectionAnswer.model_construct(**dict(inspection), heatmap=heatmap)
    return Response(answer.model_dump_json(), headers=headers, media_type="application/json")


def picture_answer(inspected: Inspected, form: OverlayFormat) -> Response:
    """The overlay itself; what it shows stands in headers, percent-encoded as UTF-8 where not plain ASCII."""
    inspection = inspected.inspection
    said = {
        "X-Glint-Verdict": inspection.verdict,
        "X-Glint-Score": repr(inspection.score),
        "X-Glint-Needs-Review": str(inspection.needs_review).lower(),
        "X-Glint-Part": inspection.part,
        "X-Glint-Bundle-Version": inspection.bundle_version,
        "X-Glint-Provider": inspection.provider,
        "X-Glint-Serial": inspection.serial,
        "X-Glint-Camera": inspection.camera,
        REPLAY_HEADER: "true" if inspected.repeated else None,
    }
    headers = {name: in_header(value) for name, value in said.items() if value is not None}
    return Response(inspected.overlay or b"", media_type=OVERLAY_MEDIA_TYPES[form], headers=headers)


def in_header(value: str) -> str:
    """Make text safe in a header: printable ASCII stays, anything else and `%` is percent-encoded."""
    return quote(value, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}~")
