"""The fields of a request, from its query and its form: each at most once, all checked."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from models.formats import OverlayFormat
from service.errors import RequestError

MAX_LENGTH = 128
# No controls, no invisible marks, no line ends. U+FFFD stands where the bytes were not UTF-8: the true value
# is lost.
TEXT_PATTERN = (
    r"^[^\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\ufeff\ufff0-\uffff]*$"
)
NAMES = ("part", "serial", "camera", "overlay")
OVERLAYS: Mapping[str, OverlayFormat | None] = {"none": None, "jpeg": "jpeg", "png": "png"}
DEFAULT_OVERLAY = "jpeg"
DEADLINE_HEADER = "X-Deadline-Ms"
IDEMPOTENCY_HEADER = "Idempotency-Key"
LONGEST_KEY = 200


@dataclass(frozen=True)
class Fields:
    """What came with a photo. `overlay` is what the JSON answer is to carry; None leaves it out."""

    part: str | None
    serial: str | None
    camera: str | None
    overlay: OverlayFormat | None


def read_fields(items: Iterable[tuple[str, str]]) -> Fields:
    """Check the (name, value) pairs of query and form together. An empty value counts as not given.

    Raises:
        RequestError: `bad_field` for an unknown or repeated name, or a value that cannot be used.
    """
    values: dict[str, str] = {}
    for name, value in items:
        if name not in NAMES:
            raise _bad(f"The field {name[:64]!r} is not known.", f"The fields are {', '.join(NAMES)}.")
        if name in values:
            raise _bad(
                f"The field {name} is given twice.", "Give it once, in the query or in the form, not in both."
            )
        values[name] = check_text(name, value)
    overlay = values.get("overlay") or DEFAULT_OVERLAY
    if overlay not in OVERLAYS:
        raise _bad(f"The field overlay is {overlay!r}.", f"Use one of {', '.join(OVERLAYS)}.")
    return Fields(
        part=values.get("part") or None,
        serial=values.get("serial") or None,
        camera=values.get("camera") or None,
        overlay=OVERLAYS[overlay],
    )


def read_deadline_ms(header: str | None, default: int, largest: int) -> int:
    """Read the X-Deadline-Ms header: milliseconds from the request's arrival to its answer.

    Raises:
        RequestError: `bad_field` unless it is a whole number from 1 to `largest`.
    """
    if header is None:
        return default
    value = int(header) if header.isascii() and header.isdigit() and len(header) < 10 else 0
    if not 1 <= value <= largest:
        raise _bad(
            f"The header {DEADLINE_HEADER} is {header[:64]!r}.",
            f"Use a whole number of milliseconds from 1 to {largest}.",
        )
    return value


def read_idempotency_key(header: str | None) -> str | None:
    """Read the Idempotency-Key header.

    Raises:
        RequestError: `bad_field` unless it has 1 to `LONGEST_KEY` visible ASCII characters.
    """
    if header is None:
        return None
    if not re.fullmatch(rf"[\x21-\x7e]{{1,{LONGEST_KEY}}}", header):
        raise _bad(
            f"The header {IDEMPOTENCY_HEADER} is {header[:64]!r}.",
            f"Use 1 to {LONGEST_KEY} visible ASCII characters, for example a UUID.",
        )
    return header


def wanted_picture(accept: str | None) -> Literal["jpeg", "png"] | None:
    """Tell from an Accept header whether the overlay itself is wanted; None means JSON.

    JSON is the answer unless `image/jpeg`, `image/png` or `image/*` is preferred to it (RFC 9110).
    """
    weights: dict[str, float] = {}
    for entry in (accept or "*/*").lower().split(","):
        media_type, _, parameters = entry.partition(";")
        weights[media_type.strip()] = _weight(parameters)
    json_types = ("application/json", "application/*", "*/*")
    best = next((weights[name] for name in json_types if name in weights), 0.0)
    wanted: Literal["jpeg", "png"] | None = None
    for name, picture in (("image/jpeg", "jpeg"), ("image/png", "png"), ("image/*", "jpeg")):
        if weights.get(name, 0.0) > best:
            best = weights[name]
            wanted = "png" if picture == "png" else "jpeg"
    return wanted


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0


def check_text(name: str, value: str) -> str:
    """Refuse text that is too long or not printable.

    Raises:
        RequestError: `bad_field`.
    """
    if len(value) > MAX_LENGTH or not re.fullmatch(TEXT_PATTERN, value):
        raise _bad(
            f"The field {name} is {value[:32]!r}.",
            f"Use at most {MAX_LENGTH} printable characters, encoded as UTF-8.",
        )
    return value


def _bad(problem: str, remedy: str) -> RequestError:
    return RequestError("bad_field", problem, remedy)
