"""What is known of a request once it has been answered."""

from collections.abc import Callable
from dataclasses import dataclass

from models.answer import Inspection

LEFT = 499  # The client left before there was an answer: no status of HTTP, but a common convention.


@dataclass(frozen=True)
class RequestRecord:
    """One answered request.

    Attributes:
        id: the request's id, also in its answer.
        method, route: the route's template, never the path or the query, which may hold anything; `other`
            where no route matched.
        status: the HTTP status; `LEFT` if none was sent.
        code: the problem's code; empty without a problem.
        verdict: of a request for an inspection, `invalid` if there was a problem; else empty.
        part, camera, serial: as they were sent; None where not.
        seconds: from the request's arrival to the end of its answer.
        ended: when it ended, in seconds since 1970.
        key_id: the id of the key it was sent with; empty without one.
        traceparent: the caller's trace (W3C Trace Context); empty without one.
        inspection: its result, if there was one.
    """

    id: str
    method: str
    route: str
    status: int
    code: str
    verdict: str
    part: str | None
    camera: str | None
    seconds: float
    ended: float
    key_id: str
    traceparent: str
    inspection: Inspection | None
    serial: str | None = None


Listener = Callable[[RequestRecord], None]
