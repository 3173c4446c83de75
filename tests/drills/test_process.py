"""Drills: the process is told to end or is killed, and clients that do not keep up."""

import json
import socket
import time
from pathlib import Path

import pytest

from tests.drills.conftest import DrillRecord
from tests.drills.faulty import faulty_service
from tests.drills.harness import (
    Shots,
    assert_never_clean_by_fault,
    cameras,
    photos,
    post,
    wait_for,
    wait_for_answers,
)
from tests.service.live import serving

pytestmark = pytest.mark.drill

ALBUM = photos()


def test_sigterm_answers_what_was_accepted_and_ends_with_code_0(
    tiny_bundles: Path, tmp_path: Path, drill_record: DrillRecord
) -> None:
    drain = 10.0
    with (
        faulty_service(tiny_bundles, tmp_path, drain_seconds=str(drain)) as service,
        cameras(service.live.port, ALBUM, count=6) as shots,
    ):
        service.order("slow 0.3")
        wait_for(lambda: len(shots) >= 3, "the first answers")
        told = time.monotonic()
        answered = len(shots)
        service.live.terminate()
        assert service.live.process.wait(drain + 5) == 0
        took = time.monotonic() - told
        wait_for(lambda: len(shots) >= answered + 12, "refused connections")
    assert took < drain
    assert_never_clean_by_fault(shots)
    # Six photos were inside when the signal came: all of them have their verdict.
    since = list(shots)[answered:]
    assert sum(shot.status == 200 for shot in since) >= 5
    assert set(shots.statuses()) <= {200, 503, None}
    drill_record(
        fault="SIGTERM in the middle of a batch",
        provoked="under load of six cameras, each run taking 0.3 s",
        expected=f"accepted photos get their verdict, new ones none; exit 0 within {drain:.0f} s",
        seen=f"exit 0 after {took:.1f} s; {shots.said()}",
    )


def test_kill_9_at_any_moment_leaves_a_service_that_starts(
    tiny_bundles: Path, drill_record: DrillRecord
) -> None:
    everything = Shots()
    rounds = 10
    for number in range(rounds):
        with serving(tiny_bundles) as live, cameras(live.port, ALBUM) as shots:
            wait_for_answers(shots, 3)
            time.sleep(0.037 * number)
            live.process.kill()
            assert live.process.wait(10) == -9
        assert_never_clean_by_fault(shots)
        everything.shots.extend(shots)
    drill_record(
        fault="kill -9",
        provoked=f"{rounds} times under load, at different moments",
        expected="connections are closed; the next start serves",
        seen=everything.said(),
    )


def test_clients_that_send_slowly_are_given_up_and_the_others_served(
    tiny_bundles: Path, drill_record: DrillRecord
) -> None:
    deadline = 1.0
    with serving(tiny_bundles) as live:
        slow = [_begin(live.port, deadline) for _ in range(8)]
        begun = time.monotonic()
        with cameras(live.port, ALBUM) as shots:
            said = [_drip_until_answered(stream) for stream in slow]
        took = time.monotonic() - begun
    assert {status for status, _ in said} == {408}
    assert {problem["verdict"] for _, problem in said} == {"invalid"}
    assert took <= deadline + 1.0
    assert set(shots.statuses()) == {200}
    assert_never_clean_by_fault(shots)
    drill_record(
        fault="Slow clients",
        provoked="8 uploads that send a byte at a time and allow 1 s, beside three cameras",
        expected="408 at their deadline; every other photo gets its verdict",
        seen=f"8 x 408 after {took:.1f} s; {shots.said()}",
    )


def test_clients_that_leave_before_the_answer_cost_the_others_nothing(
    tiny_bundles: Path, drill_record: DrillRecord
) -> None:
    # Those who left keep their places until their photos are through.
    with serving(tiny_bundles, "--queue-size", "64") as live, cameras(live.port, ALBUM) as shots:
        for _ in range(30):
            stream = _begin(live.port, 5.0)
            stream.sendall(ALBUM[0].data)
            stream.close()
        wait_for_answers(shots, 20)
        assert post(live.port, ALBUM[0]).status == 200
        assert live.get("/readyz")[0] == 200
    assert set(shots.statuses()) == {200}
    assert_never_clean_by_fault(shots)
    drill_record(
        fault="Clients leave before their answer",
        provoked="30 connections closed after the upload, beside three cameras",
        expected="every other photo gets its verdict",
        seen=shots.said(),
    )


def _begin(port: int, deadline: float) -> socket.socket:
    stream = socket.create_connection(("127.0.0.1", port), timeout=10)
    head = [
        "POST /inspect HTTP/1.1",
        "host: x",
        "content-type: image/jpeg",
        f"content-length: {len(ALBUM[0].data)}",
        f"x-deadline-ms: {deadline * 1e3:.0f}",
    ]
    stream.sendall("\r\n".join([*head, "", ""]).encode())
    return stream


def _drip_until_answered(stream: socket.socket) -> tuple[int, dict[str, str]]:
    """Send a byte at a time until there is an answer; return its status and problem."""
    stream.settimeout(0.02)
    answer = b""
    with stream:
        for byte in ALBUM[0].data:
            try:
                answer += stream.recv(65536)
            except TimeoutError:
                stream.sendall(bytes([byte]))
                continue
            head, _, body = answer.partition(b"\r\n\r\n")
            if body.endswith(b"}"):
                return int(head.split()[1]), json.loads(body)
    raise AssertionError("the whole photo was sent, and there was no answer")
