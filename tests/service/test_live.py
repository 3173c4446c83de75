"""A service in a process of its own: what only a real server and real connections can show."""

import http.client
import json
import re
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from service.app import EXIT_CODE_DEAD_WORKER
from service.http.documentation import DESCRIPTION
from tests.service.live import Live, command, free_port, serving
from tests.tiny_bundle import anomalous_photo, clean_photo, encode, scratched_photo

JPEG = {"content-type": "image/jpeg"}
GOOD = encode(clean_photo(), ".jpg")
MAX_BYTES = 300_000


@pytest.fixture(scope="module")
def live(tiny_bundles: Path) -> Iterator[Live]:
    with serving(tiny_bundles, "--max-bytes", str(MAX_BYTES), "--queue-size", "8") as service:
        yield service


def post(live: Live, data: bytes, query: str = "", **headers: str) -> tuple[int, dict[str, Any]]:
    connection = live.connect()
    try:
        connection.request("POST", f"/inspect{query}", body=data, headers={**JPEG, **headers})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def peak_memory_kb(live: Live) -> int:
    status = Path(f"/proc/{live.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def test_cameras_that_post_at_the_same_time_get_their_own_answers(live: Live) -> None:
    paints = {"clean": clean_photo, "scratched": scratched_photo, "anomalous": anomalous_photo}
    photos = [
        (verdict, encode(paint(seed=n), ".jpg")) for n in range(20) for verdict, paint in paints.items()
    ]

    def ask(number: int) -> tuple[int, dict[str, Any]]:
        return post(live, photos[number][1], f"?serial={number}")

    with ThreadPoolExecutor(6) as cameras:
        answers = list(cameras.map(ask, range(len(photos))))
    for number, (status, answer) in enumerate(answers):
        assert status == 200, answer
        assert (answer["serial"], answer["verdict"]) == (str(number), photos[number][0])
    assert len({answer["id"] for _, answer in answers}) == len(photos)


def test_when_every_place_is_taken_the_next_camera_is_refused_at_once(live: Live) -> None:
    slow = [live.connect() for _ in range(8)]
    for connection in slow:
        begin_upload(connection)
    begun = time.monotonic()
    status, problem = post(live, GOOD)
    assert time.monotonic() - begun < 0.5
    assert (status, problem["code"], problem["verdict"]) == (503, "queue_full", "invalid")
    for connection in slow:
        assert finish_upload(connection)[0] == 200
        connection.close()


def test_a_body_without_an_end_is_cut_off_at_the_limit_and_costs_no_memory(live: Live) -> None:
    assert post(live, GOOD)[0] == 200
    before = peak_memory_kb(live)
    piece = bytes(64 * 1024)
    sent = 0
    with socket.create_connection(("127.0.0.1", live.port), timeout=30) as stream:
        head = ["POST /inspect HTTP/1.1", "host: x", "content-type: image/jpeg", "transfer-encoding: chunked"]
        stream.sendall("\r\n".join([*head, "", ""]).encode())
        try:
            while sent < 200 * 1024 * 1024:
                stream.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                sent += len(piece)
        except OSError:
            sent_before_the_cut = sent
        else:
            pytest.fail("the service took 200 MB")
    assert sent_before_the_cut < 50 * 1024 * 1024
    assert peak_memory_kb(live) - before < 30 * 1024


def test_a_body_that_is_too_large_is_answered_while_it_is_sent(live: Live) -> None:
    connection = live.connect()
    connection.putrequest("POST", "/inspect")
    connection.putheader("content-type", "image/jpeg")
    connection.putheader("transfer-encoding", "chunked")
    connection.endheaders()
    piece = bytes(MAX_BYTES // 4)
    for _ in range(5):
        connection.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    response = connection.getresponse()  # the body has not ended
    problem = json.loads(response.read())
    assert (response.status, problem["code"]) == (413, "too_many_bytes")
    connection.close()


def test_an_upload_that_never_ends_is_given_up_at_its_deadline(live: Live) -> None:
    connection = live.connect()
    begin_upload(connection, deadline_ms=200)
    response = connection.getresponse()
    problem = json.loads(response.read())
    assert (response.status, problem["code"]) == (408, "upload_too_slow")
    connection.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="the documented commands need curl")
def test_the_documented_commands_work(live: Live, tmp_path: Path) -> None:
    (tmp_path / "part.jpg").write_bytes(encode(scratched_photo(), ".jpg"))
    documented = json.loads(live.get("/openapi.json")[1])["paths"]["/inspect"]["post"]["description"]
    assert documented == DESCRIPTION
    commands = re.findall(r"^curl .*$", documented, re.MULTILINE)
    assert len(commands) == 4
    for line in commands:
        arguments = shlex.split(line.replace("http://localhost:8000", f"http://127.0.0.1:{live.port}"))
        done = subprocess.run(
            [*arguments, "--fail", "--silent"], cwd=tmp_path, capture_output=True, check=True, timeout=30
        )
        if "-o overlay.jpg" not in line:
            assert json.loads(done.stdout)["verdict"] == "scratched"
    assert (tmp_path / "overlay.jpg").read_bytes().startswith(b"\xff\xd8")


def begin_upload(connection: http.client.HTTPConnection, deadline_ms: int = 30_000) -> None:
    """Send the first half of a photo and leave the rest for later."""
    connection.putrequest("POST", "/inspect")
    connection.putheader("content-type", "image/jpeg")
    connection.putheader("content-length", str(len(GOOD)))
    connection.putheader("x-deadline-ms", str(deadline_ms))
    connection.endheaders()
    connection.send(GOOD[: len(GOOD) // 2])
    time.sleep(0.05)


def finish_upload(connection: http.client.HTTPConnection) -> tuple[int, dict[str, Any]]:
    """Send the other half and return the answer."""
    connection.send(GOOD[len(GOOD) // 2 :])
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def test_sigterm_lets_accepted_photos_be_answered_and_ends_with_code_0(tiny_bundles: Path) -> None:
    with serving(tiny_bundles) as service:
        connection = service.connect()
        begin_upload(connection)
        service.terminate()
        wait_until_refused(service)
        assert service.process.poll() is None
        status, answer = finish_upload(connection)
        assert (status, answer["verdict"]) == (200, "clean")
        connection.close()
        assert service.process.wait(20) == 0


def test_an_upload_that_outlasts_the_time_to_drain_gets_a_problem(tiny_bundles: Path) -> None:
    with serving(tiny_bundles, "--drain-seconds", "0.5") as service:
        connection = service.connect()
        begin_upload(connection)
        service.terminate()
        response = connection.getresponse()
        problem = json.loads(response.read())
        assert (response.status, problem["code"], problem["verdict"]) == (503, "shutting_down", "invalid")
        connection.close()
        assert service.process.wait(20) == 0


def wait_until_refused(service: Live) -> None:
    last = time.monotonic() + 10.0
    while time.monotonic() < last:
        try:
            socket.create_connection(("127.0.0.1", service.port), timeout=1).close()
        except OSError:
            return
        time.sleep(0.02)
    pytest.fail("new connections were still taken after SIGTERM")


# Raises SystemExit inside the worker's thread, as a fault in native code or a kill would end it.
KILL_THE_WORKER = """
import ctypes, sys, threading, uvicorn
from pathlib import Path
from fastapi import Response
from service.app import create_app
from service.settings import Settings

app = create_app(Settings.of(bundles=Path(sys.argv[2]), device="cpu", threads=1))

@app.post("/kill-the-worker")
def kill() -> Response:
    worker = next(t for t in threading.enumerate() if t.name.startswith("glint-worker-"))
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(worker.ident), ctypes.py_object(SystemExit))
    return Response()

uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
"""


def test_a_dead_worker_turns_readiness_red_and_ends_the_process(tiny_bundles: Path) -> None:
    with serving(tiny_bundles, script=KILL_THE_WORKER) as service:
        assert post(service, GOOD)[0] == 200
        connection = service.connect()
        connection.request("POST", "/kill-the-worker")
        assert connection.getresponse().read() == b""
        connection.close()
        # The exception is raised when the idle worker wakes up for this photo, which must not get a verdict.
        status, problem = post(service, GOOD)
        assert (status, problem["code"], problem["verdict"]) == (503, "worker_died", "invalid")
        status, readiness = service.get("/readyz")
        assert status == 503
        assert "has died" in json.loads(readiness)["reasons"][0]
        assert service.get("/healthz")[0] == 503
        assert service.process.wait(10) == EXIT_CODE_DEAD_WORKER


def test_cuda_without_a_gpu_refuses_before_it_listens(tiny_bundles: Path) -> None:
    arguments = command(tiny_bundles, free_port())
    arguments[arguments.index("cpu")] = "cuda"
    done = subprocess.run(
        arguments, env={"CUDA_VISIBLE_DEVICES": "-1"}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "glint: " in done.stderr
    assert "--device cpu" in done.stderr
    assert "Traceback" not in done.stderr
    assert "running on" not in done.stderr


def test_a_port_that_is_taken_is_said_so(tiny_bundles: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        done = subprocess.run(command(tiny_bundles, port), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr
