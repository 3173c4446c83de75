"""Clients that cost little: HTTP/1.1 on kept connections, the next photo as soon as the last is answered.

They share the machine with the service that they measure, so nothing of an answer is parsed while it runs.
"""

import asyncio
import itertools
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

HOST = "127.0.0.1"
LOST = 0
_READ_AHEAD = 4 * 1024 * 1024
_SECONDS_BEFORE_CONNECTING_AGAIN = 0.05
_TIMINGS = b'"timings_ms":'


@dataclass(frozen=True)
class Answer:
    """What became of one request.

    Attributes:
        seconds: from its first byte sent to the last byte of the answer.
        status: of HTTP; `LOST` when the connection was.
        detail: of a 200 the JSON of its `timings_ms`, if it has them; else the problem's code, or how the
            connection was lost.
    """

    seconds: float
    status: int
    detail: bytes


@dataclass(frozen=True)
class Load:
    """What some clients were answered, in how many seconds, and how many cores they kept busy themselves."""

    clients: int
    seconds: float
    cores: float
    answers: tuple[Answer, ...]


def encode_post(path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """The bytes of a POST, ready to be sent any number of times."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {HOST}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def run_load(port: int, posts: Sequence[bytes], clients: int, seconds: float, patience: float) -> Load:
    """Let clients post for some seconds; what they began by then is waited for and counted.

    Args:
        port: of the loopback address.
        posts: encoded requests, sent in turn; each client begins at another one.
        clients: how many post at the same time.
        seconds: how long they begin new requests.
        patience: seconds after that in which the last answers must come.

    Raises:
        TimeoutError: when they do not.
    """
    return asyncio.run(_run_load(port, posts, clients, seconds, patience))


async def _run_load(port: int, posts: Sequence[bytes], clients: int, seconds: float, patience: float) -> Load:
    begun, computed = time.perf_counter(), time.process_time()
    end = begun + seconds
    async with asyncio.timeout(seconds + patience):
        each = await asyncio.gather(*(_post_until(end, port, posts, first) for first in range(clients)))
    took = time.perf_counter() - begun
    answers = tuple(itertools.chain.from_iterable(each))
    return Load(clients, took, (time.process_time() - computed) / took, answers)


async def _post_until(end: float, port: int, posts: Sequence[bytes], first: int) -> list[Answer]:
    client, answers = _Client(port), []
    try:
        for number in itertools.count(first):
            answer, pause = await client.post(posts[number % len(posts)])
            answers.append(answer)
            # A client that is told to wait waits, as a camera does; no longer than the measurement.
            await asyncio.sleep(min(pause, max(0.0, end - time.perf_counter())))
            if time.perf_counter() >= end:
                break
    finally:
        await client.close()
    return answers


class _Client:
    """One connection, opened anew when it is lost."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, request: bytes) -> tuple[Answer, float]:
        """Send a request; return the answer, and the seconds to wait before the next."""
        begun = time.perf_counter()
        try:
            head, body = await self._exchange(request)
        except (OSError, EOFError) as error:
            await self.close()
            name = type(error).__name__.encode("ascii")
            return Answer(time.perf_counter() - begun, LOST, name), _SECONDS_BEFORE_CONNECTING_AGAIN
        took = time.perf_counter() - begun
        status = int(head.split(b" ", 2)[1])
        if _header(head, b"connection") == b"close":
            await self.close()
        if status == 200:
            return Answer(took, status, _timings(body)), 0.0
        detail = _header(head, b"x-glint-problem") or b"no code"
        return Answer(took, status, detail), float(_header(head, b"retry-after") or 0)

    async def _exchange(self, request: bytes) -> tuple[bytes, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(HOST, self._port, limit=_READ_AHEAD)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        return head, await reader.readexactly(int(_header(head, b"content-length")))

    async def close(self) -> None:
        if self._streams is None:
            return
        writer, self._streams = self._streams[1], None
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


def _header(head: bytes, name: bytes) -> bytes:
    """A header of a head in lower case; empty when it is not there."""
    _, found, rest = head.partition(b"\r\n" + name + b":")
    return rest.partition(b"\r\n")[0].strip() if found else b""


def _timings(body: bytes) -> bytes:
    """The object after `timings_ms`; no string can hold the key, whose quotes it would have to escape."""
    _, found, rest = body.partition(_TIMINGS)
    return rest[: rest.index(b"}") + 1] if found else b""
