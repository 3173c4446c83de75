"""OpenTelemetry traces, received by a real collector on this machine."""

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.telemetry.traces import open_traces
from tests.service.conftest import StartClient
from tests.tiny_bundle import clean_photo, encode, poisonous_photo

trace_service = pytest.importorskip(
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="the extra telemetry is not installed"
)

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    """An OTLP collector: its address, and the spans it has received."""
    spans: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            sent = trace_service.ExportTraceServiceRequest.FromString(body)
            for resource in sent.resource_spans:
                spans.extend(span for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", spans
    finally:
        server.shutdown()
        server.server_close()


def post(client: TestClient, data: bytes, kind: str, **headers: str) -> Any:
    return client.post("/inspect?camera=cam3", content=data, headers={"content-type": kind, **headers})


def test_a_request_is_a_span_in_the_callers_trace_with_a_span_per_stage(
    start: StartClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collector() as (address, spans):
        monkeypatch.setenv(ENDPOINT, address)
        client = start()
        answer = post(
            client, encode(clean_photo(), ".jpg"), "image/jpeg", traceparent=f"00-{TRACE}-{CALLER}-01"
        )
        client.__exit__(None, None, None)  # what was not sent yet is sent at the end
        [span] = [span for span in spans if span.name == "POST /inspect"]
        stages = [child for child in spans if child.parent_span_id == span.span_id]
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, CALLER)
    said = {each.key: each.value.string_value or each.value.int_value for each in span.attributes}
    assert said["glint.id"] == answer.json()["id"]
    assert (said["http.response.status_code"], said["glint.verdict"], said["glint.camera"]) == (
        200,
        "clean",
        "cam3",
    )
    timings = {stage: ms for stage, ms in answer.json()["timings_ms"].items() if stage != "total"}
    assert {stage.name for stage in stages} == timings.keys()
    for stage in stages:
        assert stage.trace_id == span.trace_id
        took = stage.end_time_unix_nano - stage.start_time_unix_nano
        assert took == pytest.approx(1e6 * timings[stage.name], abs=1000)
        assert stage.start_time_unix_nano >= span.start_time_unix_nano


def test_without_a_caller_a_request_begins_its_own_trace_and_a_failure_is_an_error(
    start: StartClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collector() as (address, spans):
        monkeypatch.setenv(ENDPOINT, address)
        client = start()
        assert post(client, encode(poisonous_photo()), "image/png").status_code == 500
        client.__exit__(None, None, None)
        [span] = [span for span in spans if span.name == "POST /inspect"]
    assert not span.parent_span_id
    assert len(span.trace_id) == 16
    assert (span.status.code, span.status.message) == (2, "inference_failed")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_collector_that_is_gone_holds_nothing_up(
    start: StartClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:  # takes connections and never answers
        monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{nobody.getsockname()[1]}")
        client = start()
        assert post(client, encode(clean_photo(), ".jpg"), "image/jpeg").status_code == 200
        begun = time.monotonic()
        client.__exit__(None, None, None)
        assert time.monotonic() - begun < 5.0


def test_without_an_endpoint_there_are_no_traces() -> None:
    assert open_traces({"OTEL_SERVICE_NAME": "glint"}) is None


def test_without_the_extra_the_log_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(
        __import__("sys").modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None
    )
    assert open_traces({ENDPOINT: "http://127.0.0.1:9"}) is None
    assert "pip install 'glint-inspection[telemetry]'" in caplog.text
