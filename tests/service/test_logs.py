"""The log: what stands in a line, and what never does."""

import io
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.telemetry.logs import JsonFormatter, TextFormatter, configure_logging, hide_secrets, trace_id_of
from tests.service.live import serving
from tests.tiny_bundle import clean_photo, encode, poisonous_photo

GOOD = encode(clean_photo(), ".jpg")
TRACE = "0af7651916cd43dd8448eb211c80319c"
SECRETS = {
    "authorization": "Bearer glint_s3cr3t-of-line-3",
    "x-api-key": "glint_s3cr3t-of-line-3",
    "cookie": "session=s3cr3t; other=s3cr3t",
}


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Everything that is logged from `debug` on, as JSON."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)


def parsed(stream: io.StringIO, logger: str) -> list[dict[str, Any]]:
    every = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [line for line in every if line["logger"] == logger]


def test_each_request_is_one_line_with_the_id_of_its_answer(client: TestClient, lines: io.StringIO) -> None:
    headers = {"content-type": "image/jpeg", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    answer = client.post("/inspect?camera=cam3", content=GOOD, headers=headers)
    [line] = parsed(lines, "service.access")
    assert line["request_id"] == answer.headers["x-glint-id"] == answer.json()["id"]
    said = {name: line[name] for name in ("level", "method", "route", "part", "camera", "verdict", "status")}
    assert said == {
        "level": "info",
        "method": "POST",
        "route": "/inspect",
        "part": "bracket",
        "camera": "cam3",
        "verdict": "clean",
        "status": 200,
    }
    assert line["ms"] >= answer.json()["timings_ms"]["total"] > 0
    assert line["trace_id"] == TRACE
    assert line["time"].endswith("+00:00")


def test_a_problem_is_logged_with_its_code(client: TestClient, lines: io.StringIO) -> None:
    answer = client.post("/inspect?part=bolt", content=GOOD, headers={"content-type": "image/jpeg"})
    [line] = parsed(lines, "service.access")
    assert (line["code"], line["verdict"], line["status"]) == ("unknown_part", "invalid", 404)
    assert line["code"] == answer.json()["code"] == answer.headers["x-glint-problem"]


def test_probes_that_go_well_do_not_fill_the_log(client: TestClient, lines: io.StringIO) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.get(path).status_code == 200
    assert [line["level"] for line in parsed(lines, "service.access")] == ["debug"] * 3


def test_no_secret_of_a_request_is_logged(client: TestClient, lines: io.StringIO) -> None:
    headers = {"content-type": "image/jpeg", **SECRETS}
    assert client.post("/inspect?api_key=s3cr3t", content=GOOD, headers=headers).status_code == 422
    assert client.post("/inspect", content=GOOD, headers=headers).status_code == 200
    assert client.get("/s3cr3t?key=s3cr3t", headers=headers).status_code == 404
    # httpx, which stands for the camera here, logs the address that it asks.
    ours = [line for line in lines.getvalue().splitlines() if '"logger": "httpx' not in line]
    assert len(ours) >= 3
    assert not [line for line in ours if "s3cr3t" in line]


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
@pytest.mark.parametrize(
    "message",
    [
        "headers {'authorization': 'Bearer s3cr3t-s3cr3t'}",
        "headers [(b'x-api-key', b's3cr3t'), (b'host', b'box')]",
        "Authorization: Basic s3cr3ts3cr3t==",
        "cookie: a=s3cr3t; b=s3cr3t",
        "GET /inspections?limit=3&api_key=s3cr3t&key=s3cr3t",
        "cannot reach postgresql+psycopg://glint:s3cr3t@db/glint",
        'sent {"X-Api-Key": "s3cr3t"}',
    ],
)
def test_a_secret_in_any_message_or_exception_is_hidden(formatter: logging.Formatter, message: str) -> None:
    try:
        raise ValueError(message)
    except ValueError as error:
        info = (type(error), error, None)
    record = logging.LogRecord("service.x", logging.ERROR, __file__, 1, "%s", (message,), info)
    line = formatter.format(record)
    assert "s3cr3t" not in line
    assert line.count("[hidden]") >= 2


@pytest.mark.parametrize(
    "message",
    [
        "Listening on http://127.0.0.1:8000",
        "Look at the kernel's log (`dmesg`, key `Xid`).",
        "bundles/bracket/20260101: the checksum of inspector.onnx differs",
    ],
)
def test_what_is_no_secret_stays(message: str) -> None:
    assert hide_secrets(message) == message


def test_only_a_whole_traceparent_has_a_trace() -> None:
    assert trace_id_of(f"00-{TRACE}-b7ad6b7169203331-01") == TRACE
    assert trace_id_of(f"00-{TRACE}-b7ad6b7169203331-01\n{{") == ""
    assert trace_id_of("") == ""


@pytest.mark.parametrize(("form", "first"), [("text", "2"), ("json", "{"), ("auto", "{")])
def test_the_form_is_a_setting_and_json_away_from_a_terminal(
    form: Any, first: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.Logger("root")
    monkeypatch.setattr(logging, "root", root)
    configure_logging(form)
    root.info("hello")
    assert capsys.readouterr().err.startswith(first)


def test_every_line_of_a_live_service_is_json(tiny_bundles: Path) -> None:
    with serving(tiny_bundles, environment={"GLINT_LOG_FORMAT": "json"}) as live:
        connection = live.connect()
        connection.request("POST", "/inspect", encode(poisonous_photo()), {"content-type": "image/png"})
        answer = json.loads(connection.getresponse().read())
        connection.close()
        last = time.monotonic() + 10.0
        while '"status": 500' not in live.log.read_text() and time.monotonic() < last:
            time.sleep(0.05)  # the line is written once the answer has gone out
        log = [json.loads(line) for line in live.log.read_text().splitlines()]
    assert answer["code"] == "inference_failed"
    assert any("Listening on" in line["message"] for line in log)
    [line] = [line for line in log if line.get("status") == 500]
    assert (line["request_id"], line["code"]) == (answer["id"], "inference_failed")
