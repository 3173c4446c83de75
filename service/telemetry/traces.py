"""OpenTelemetry traces, where an OTLP endpoint is configured: a span per request, one below it per stage."""

import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from service.telemetry.record import RequestRecord

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
# The order in which an inspection goes through its stages, whatever else is timed coming after them.
STAGES = ("decode", "resize", "register", "quality", "queue", "inference", "decide", "overlay", "archive")
_NANOSECONDS = 1_000_000_000
_FIRST_SERVER_ERROR = 500
_SECONDS_FOR_LAST_SPANS = 3.0


def open_traces(environment: Mapping[str, str]) -> "Traces | None":
    """Make what sends traces; None unless the environment names an OTLP endpoint.

    The exporter reads the other OTEL_ variables by itself. Traces are no reason to refuse to inspect: without
    the extra `telemetry` a line in the log says what to install.
    """
    if not any(environment.get(name) for name in ENDPOINTS):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning("No traces are sent. Install them with: pip install 'glint-inspection[telemetry]'")
        return None
    name = environment.get("OTEL_SERVICE_NAME") or "glint"
    provider = TracerProvider(resource=Resource.create({"service.name": name}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Traces(provider)


class Traces:
    """Makes spans of requests that have been answered, and has them sent in a thread of their own."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("glint")
        self._propagator = TraceContextTextMapPropagator()

    def answered(self, record: RequestRecord) -> None:
        """Trace a request, as part of the caller's trace if it sent one."""
        from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

        ended = int(record.ended * _NANOSECONDS)
        started = ended - int(record.seconds * _NANOSECONDS)
        span = self._tracer.start_span(
            f"{record.method} {record.route}",
            self._propagator.extract({"traceparent": record.traceparent}),
            SpanKind.SERVER,
            _attributes(record),
            start_time=started,
        )
        if record.status >= _FIRST_SERVER_ERROR:
            span.set_status(StatusCode.ERROR, record.code)
        if span.is_recording():
            for stage, begun, done in stages_of(record, started):
                child = self._tracer.start_span(stage, set_span_in_context(span), start_time=begun)
                child.end(done)
        span.end(ended)

    def close(self) -> None:
        """Send what is left, for a few seconds at most: nobody may be listening any more."""
        last = threading.Thread(target=self._provider.shutdown, name="glint-last-spans", daemon=True)
        last.start()
        last.join(_SECONDS_FOR_LAST_SPANS)


def stages_of(record: RequestRecord, started: int) -> list[tuple[str, int, int]]:
    """Name, start and end of each stage in nanoseconds since 1970.

    Only how long each took is known. They are laid end to end so that the last one ends `total` after the
    inspection began, which is when the upload had arrived.
    """
    timings = record.inspection.timings_ms if record.inspection is not None else {}
    order = [*STAGES, *(stage for stage in timings if stage not in (*STAGES, "total"))]
    took = [(stage, int(timings[stage] * 1e-3 * _NANOSECONDS)) for stage in order if stage in timings]
    total = int(timings.get("total", 0.0) * 1e-3 * _NANOSECONDS)
    at = max(started, started + int(record.seconds * _NANOSECONDS) - total)
    spans = []
    for stage, duration in took:
        spans.append((stage, at, at + duration))
        at += duration
    return spans


def _attributes(record: RequestRecord) -> dict[str, str | int | float]:
    attributes: dict[str, str | int | float] = {
        "http.request.method": record.method,
        "http.route": record.route,
        "http.response.status_code": record.status,
        "glint.id": record.id,
    }
    known = {"part": record.part, "camera": record.camera, "verdict": record.verdict, "code": record.code}
    return attributes | {f"glint.{name}": value for name, value in known.items() if value}
