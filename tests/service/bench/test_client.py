"""The clients of `glint bench`: every request is accounted for, whatever comes back."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from service.bench.client import LOST, Answer, Load, encode_post, run_load
from service.bench.measures import Latency, level_of, stages_of

POST = encode_post("/inspect", b"photo", {"Content-Type": "image/jpeg"})


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that hands each connection to `answer`; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def response(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def repeated(data: bytes) -> Callable[[socket.socket], None]:
    """Answer every request of a connection with the same bytes."""

    def answer(connection: socket.socket) -> None:
        while connection.recv(65536):
            connection.sendall(data)

    return answer


def test_a_post_is_encoded_whole() -> None:
    head, _, body = POST.partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"POST /inspect HTTP/1.1"
    assert b"Content-Length: 5" in head
    assert body == b"photo"


def test_the_timings_of_an_answer_are_kept() -> None:
    body = b'{"part": "timings_ms", "timings_ms":{"decode": 1.0, "total": 2.0},"id": "1"}'
    with answering(repeated(response("200 OK", body))) as port:
        load = run_load(port, [POST], clients=1, seconds=0.1, patience=5)
    assert {answer.status for answer in load.answers} == {200}
    assert {answer.detail for answer in load.answers} == {b'{"decode": 1.0, "total": 2.0}'}


def test_a_refused_client_waits_as_it_is_told() -> None:
    refusal = response("503 Service Unavailable", b"{}", "X-Glint-Problem: queue_full", "Retry-After: 60")
    with answering(repeated(refusal)) as port:
        load = run_load(port, [POST], clients=1, seconds=0.2, patience=5)
    assert [(answer.status, answer.detail) for answer in load.answers] == [(503, b"queue_full")]
    assert level_of(load, deadline_ms=100).refused == {"503 queue_full": 1}


def test_a_connection_that_breaks_is_counted_and_opened_again() -> None:
    with answering(lambda connection: connection.recv(10) and None) as port:
        load = run_load(port, [POST], clients=1, seconds=0.3, patience=5)
    level = level_of(load, deadline_ms=100)
    assert sum(level.lost.values()) == len(load.answers) > 1
    assert level.answered == 0
    assert level.latency is None


def test_a_server_that_closes_after_its_answer_is_connected_to_again() -> None:
    data = response("200 OK", b"{}", "Connection: close")

    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(data)

    with answering(answer) as port:
        load = run_load(port, [POST], clients=1, seconds=0.1, patience=5)
    assert {answer.status for answer in load.answers} == {200}
    assert len(load.answers) > 1


def test_a_server_that_never_answers_ends_the_measurement() -> None:
    released = threading.Event()
    with answering(lambda _: released.wait(30) and None) as port:
        with pytest.raises(TimeoutError):
            run_load(port, [POST], clients=1, seconds=0.05, patience=0.05)
        released.set()


def test_late_verdicts_are_counted_apart() -> None:
    answers = (
        Answer(0.05, 200, b""),
        Answer(0.2, 200, b""),
        Answer(0.2, 504, b"deadline"),
        Answer(0.1, LOST, b"X"),
    )
    level = level_of(Load(clients=2, seconds=1.0, cores=0.1, answers=answers), deadline_ms=100)
    assert (level.answered, level.late, level.refused, level.lost) == (2, 1, {"504 deadline": 1}, {"X": 1})
    assert level.photos_per_second == 2


def test_percentiles_were_seen() -> None:
    seconds = [0.001 * number for number in range(1, 101)]
    latency = Latency.of(seconds)
    assert (latency.p50_ms, latency.p95_ms, latency.p99_ms, latency.mean_ms) == (51.0, 96.0, 100.0, 50.5)
    assert Latency.of([0.002]).p99_ms == 2.0


def test_stages_are_means_and_add_up() -> None:
    answers = [
        Answer(0.010, 200, b'{"decode": 1.0, "inference": 4.0, "total": 6.0}'),
        Answer(0.020, 200, b'{"decode": 3.0, "inference": 4.0, "overlay": 2.0, "total": 12.0}'),
    ]
    stages = {"decode": 2.0, "inference": 4.0, "overlay": 1.0, "between stages": 2.0, "HTTP": 6.0}
    assert stages_of(answers) == stages
    assert stages_of([Answer(0.010, 200, b"")]) == {}
