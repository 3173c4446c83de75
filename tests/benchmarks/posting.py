"""Clients that take as little of the cores as they can: blocking sockets, requests made beforehand."""

import itertools
import re
import resource
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class Answer:
    """What one request got. All times are of `time.monotonic`; `due` is when it was to be sent."""

    due: float
    begun: float
    ended: float
    status: int
    body: bytes

    @property
    def seconds(self) -> float:
        """From the moment it was due, so that a late start counts as a slow answer."""
        return self.ended - self.due


class Connection:
    """One kept connection to the service."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._buffer = bytearray(_BUFFER_BYTES)

    def ask(self, request: bytes) -> tuple[int, bytes, bytes]:
        """Send a whole request; status, head and body of the answer."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        self._socket.sendall(request)
        head, body = self._receive(self._socket)
        if b"\r\nconnection: close\r\n" in head.lower():
            self.close()
        return int(head[9:12]), head, body

    def _receive(self, connection: socket.socket) -> tuple[bytes, bytes]:
        view, got, end, needed = memoryview(self._buffer), 0, -1, _BUFFER_BYTES
        while got < needed:
            more = connection.recv_into(view[got:])
            if not more:
                raise ConnectionError("the service closed the connection within an answer")
            got += more
            if end < 0 and (end := self._buffer.find(b"\r\n\r\n", 0, got)) >= 0:
                length = _LENGTH.search(self._buffer, 0, end + 2)
                assert length is not None, "an answer without a length"
                needed = end + 4 + int(length[1])
                assert needed <= _BUFFER_BYTES, f"an answer of {needed} bytes"
        return bytes(view[: end + 2]), bytes(view[end + 4 : needed])

    def close(self) -> None:
        """Hang up; the next request connects anew."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def request_for(photo: bytes, *, query: str = "", deadline_ms: int | None = None) -> bytes:
    """The bytes of a request that posts a JPEG."""
    head = f"POST /inspect{query} HTTP/1.1\r\nhost: glint\r\ncontent-type: image/jpeg\r\n"
    if deadline_ms is not None:
        head += f"x-deadline-ms: {deadline_ms}\r\n"
    return f"{head}content-length: {len(photo)}\r\n\r\n".encode() + photo


def post_at_once(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> list[Answer]:
    """Each client posts as soon as it has its answer, for so many seconds."""
    end = time.monotonic() + seconds

    def due_of(number: int) -> float | None:
        now = time.monotonic()
        return now if now < end else None

    return _with_clients(port, requests, clients, due_of)


def post_paced(
    port: int, requests: Sequence[bytes], clients: int, rate: float, seconds: float
) -> list[Answer]:
    """Post `rate` requests per second, whatever the answers take, as long as a client is free for each."""
    begun = time.monotonic()

    def due_of(number: int) -> float | None:
        return begun + number / rate if number < rate * seconds else None

    return _with_clients(port, requests, clients, due_of)


def own_cpu_seconds() -> float:
    """CPU time that this process, the clients' own, has taken so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _with_clients(
    port: int, requests: Sequence[bytes], clients: int, due_of: Callable[[int], float | None]
) -> list[Answer]:
    answers: list[Answer] = []
    numbers = itertools.count()

    def work() -> None:
        connection = Connection(port)
        for number in numbers:
            due = due_of(number)
            if due is None:
                break
            time.sleep(max(0.0, due - time.monotonic()))
            begun = time.monotonic()
            status, _, body = connection.ask(requests[number % len(requests)])
            answers.append(Answer(due, begun, time.monotonic(), status, body))
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
