"""What a hostile or broken client can do to a running service: nothing that lasts, and never a verdict."""

import json
import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.access.commands import add_key
from service.http.headers import ALWAYS, CACHING, POLICY
from service.http.limits import MAX_HEADER_BYTES, MAX_HEADERS, MAX_TARGET_BYTES
from tests.service.live import Live, free_port, serving
from tests.service.test_live import GOOD, JPEG, post

HEAD_SECONDS = 0.6
MAX_CONNECTIONS = 20

# The limits are made small, so that a test need not wait for the real ones.
IMPATIENT = f"""
import sys
from pathlib import Path
import service.http.protocol as protocol
from service.server import serve
from service.settings import Settings

protocol.HEAD_SECONDS, protocol.MAX_CONNECTIONS = {HEAD_SECONDS}, {MAX_CONNECTIONS}
port = int(sys.argv[1])
management = int(sys.argv[3]) if len(sys.argv) > 3 else None
given = dict(bundles=Path(sys.argv[2]), device="cpu", threads=1, port=port, management_port=management)
serve(Settings.of(**given))
"""


@pytest.fixture(scope="module")
def live(tiny_bundles: Path) -> Iterator[Live]:
    with serving(tiny_bundles, script=IMPATIENT) as service:
        yield service


def say(live: Live, data: bytes, seconds: float = 10.0) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Send raw bytes on a connection of their own; status, headers and JSON of what comes back."""
    with socket.create_connection(("127.0.0.1", live.port), timeout=seconds) as stream:
        stream.sendall(data)
        answer = read_all(stream)
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, json.loads(body)


def read_all(stream: socket.socket) -> bytes:
    received = b""
    try:
        while piece := stream.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def head(*lines: str, target: str = "/parts") -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "host: x", "connection: close", *lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("request_head", "statuses"),
    [
        (head("x-long: " + "x" * MAX_HEADER_BYTES), {400, 431}),
        (head("x-long: " + "x" * 1_000_000), {400, 431}),
        (head(*(f"x-{n}: 1" for n in range(MAX_HEADERS))), {431}),
        (head(target="/parts?part=" + "x" * MAX_TARGET_BYTES), {414}),
        (head(target="/" + "x" * 1_000_000), {400, 414}),
        (b"no HTTP at all\r\n\r\n", {400}),
        (b"GET /parts HTTP/1.1\r\nhost: x\r\nhost : y\r\n\r\n", {400}),
        (b"POST /inspect HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n", {400}),
        (
            b"POST /inspect HTTP/1.1\r\nhost: x\r\ncontent-type: image/jpeg\r\n"
            b"transfer-encoding: chunked\r\n\r\nzz\r\n",
            {400},
        ),
    ],
    ids=[
        "a long header",
        "an endless header",
        "many headers",
        "a long query",
        "an endless path",
        "no HTTP",
        "a bad header",
        "two lengths",
        "a bad chunk",
    ],
)
def test_a_request_that_is_out_of_bounds_gets_a_problem(
    live: Live, request_head: bytes, statuses: set[int]
) -> None:
    status, headers, problem = say(live, request_head)
    assert status in statuses
    assert headers["content-type"] == "application/problem+json"
    assert all(headers[name] == said.lower() for name, said in ALWAYS.items())
    assert (headers["cache-control"], headers["content-security-policy"]) == (CACHING, POLICY)
    assert (problem["status"], problem["verdict"]) == (status, "invalid")
    assert post(live, GOOD)[1]["verdict"] == "clean"


def test_the_largest_head_that_is_promised_is_taken(live: Live) -> None:
    status, _, _ = say(live, head("x-long: " + "x" * (MAX_HEADER_BYTES - 100)))
    assert status == 200


@pytest.mark.parametrize("sent", [b"", b"GET /parts HTTP/1.1\r\nhost:"])
def test_a_head_that_never_ends_is_hung_up_on_however_it_trickles(live: Live, sent: bytes) -> None:
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", live.port), timeout=10) as stream:
        stream.settimeout(0.05)
        stream.sendall(sent)
        while time.monotonic() - begun < 5.0:
            try:
                if sent:
                    stream.sendall(b"x")
                if stream.recv(10) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        else:
            pytest.fail("the connection was still open")
    assert HEAD_SECONDS - 0.1 < time.monotonic() - begun < HEAD_SECONDS + 1.0


def test_a_slow_body_has_the_time_of_its_deadline_and_not_that_of_a_head(live: Live) -> None:
    connection = live.connect()
    connection.putrequest("POST", "/inspect")
    connection.putheader("content-type", "image/jpeg")
    connection.putheader("content-length", str(len(GOOD)))
    connection.endheaders()
    connection.send(GOOD[:100])
    time.sleep(2 * HEAD_SECONDS)
    connection.send(GOOD[100:])
    assert json.loads(connection.getresponse().read())["verdict"] == "clean"
    connection.close()


def test_a_connection_that_is_kept_open_serves_until_it_idles_too_long(live: Live) -> None:
    connection = live.connect()
    for _ in range(5):
        connection.request("POST", "/inspect", body=GOOD, headers=JPEG)
        assert json.loads(connection.getresponse().read())["verdict"] == "clean"
        time.sleep(0.8 * HEAD_SECONDS / 2)
    connection.close()


def _open_files(live: Live) -> int:
    return len(list(Path(f"/proc/{live.process.pid}/fd").iterdir()))


def test_idle_connections_cannot_use_up_the_service(live: Live) -> None:
    most = _open_files(live) + MAX_CONNECTIONS + 5
    idle = [
        socket.create_connection(("127.0.0.1", live.port), timeout=10) for _ in range(5 * MAX_CONNECTIONS)
    ]
    # Before the idle ones are closed for their idleness.
    last = time.monotonic() + 0.9 * HEAD_SECONDS
    while _open_files(live) > most:
        assert time.monotonic() < last, "the service keeps more connections than it may"
        time.sleep(0.02)
    time.sleep(HEAD_SECONDS + 0.3)
    assert post(live, GOOD)[1]["verdict"] == "clean"
    for stream in idle:
        stream.close()


def test_a_flood_of_the_main_port_leaves_the_management_port_open(tiny_bundles: Path) -> None:
    management = free_port()
    with serving(tiny_bundles, str(management), script=IMPATIENT) as service:
        beside = Live(service.process, management, service.log)
        address = ("127.0.0.1", service.port)
        flood = [socket.create_connection(address, timeout=10) for _ in range(2 * MAX_CONNECTIONS)]
        assert beside.get("/healthz")[0] == 200
        for stream in flood:
            stream.close()


@pytest.mark.slow
def test_keys_and_the_management_port_of_a_running_service(tiny_bundles: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key, _ = add_key(file, "line3", "camera")
    management = free_port()
    with serving(
        tiny_bundles, "--keys", str(file), "--open-health", "--management-port", str(management)
    ) as service:
        assert post(service, GOOD)[0] == 401
        assert post(service, GOOD, authorization=f"Bearer {key}")[1]["verdict"] == "clean"
        beside = Live(service.process, management, service.log)
        assert beside.get("/readyz")[0] == 200
        assert json.loads(beside.get("/healthz")[1]) == {"alive": True}
        assert {beside.get(path)[0] for path in ("/parts", "/docs", "/", "/openapi.json")} == {404}
        assert post(beside, GOOD, authorization=f"Bearer {key}")[0] == 404

        # The answer comes before anything of the body was sent, or read.
        connection = service.connect()
        connection.putrequest("POST", "/inspect")
        for name, value in {**JPEG, "content-length": str(30_000_000), "x-api-key": "wrong"}.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["verdict"]) == (401, "invalid")
        connection.close()

        service.terminate()
        assert service.process.wait(20) == 0
        assert key not in service.log.read_text()


@pytest.mark.parametrize(
    "path",
    [
        "/parts/../../etc/passwd",
        "/parts/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/inspections/..%2f..%2fetc%2fpasswd",
        "/inspections/%00",
        "/parts/bracket%00",
        "/parts/C:%5Cwindows",
        "/docs/../etc/passwd",
        "/openapi.json/%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_no_path_reaches_the_file_system(live: Live, path: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    status, headers, problem = say(live, head(target=path))
    assert 400 <= status < 500
    assert (headers["content-type"], problem["verdict"]) == ("application/problem+json", "invalid")
    assert "root:" not in str(problem)
