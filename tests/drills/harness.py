"""What drills have in common: photos with known verdicts, cameras that post them, and the one property.

The property: no photo is answered `clean` that a healthy service would not answer so, and each gets an
answer or a closed connection within its deadline and one second.
"""

import http.client
import itertools
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.tiny_bundle import anomalous_photo, clean_photo, encode, scratched_photo

GRACE_SECONDS = 1.0
DEADLINE_MS = 5000
JPEG = {"content-type": "image/jpeg"}


@dataclass(frozen=True)
class Photo:
    """An encoded photo, and the verdict that a healthy service gives it."""

    data: bytes
    verdict: str
    headers: Mapping[str, str] = field(default_factory=lambda: JPEG)


@dataclass(frozen=True)
class Shot:
    """One posted photo and what came back; `status` is None where the connection was refused or closed."""

    photo: Photo
    status: int | None
    answer: dict[str, Any]
    seconds: float
    deadline: float

    @property
    def verdict(self) -> str:
        """The verdict that came back; `closed` without any answer."""
        return str(self.answer["verdict"]) if self.status is not None else "closed"


@dataclass
class Shots:
    """What several cameras got, in the order of the answers. Safe to add to from several threads."""

    shots: list[Shot] = field(default_factory=list)

    def add(self, shot: Shot) -> None:
        self.shots.append(shot)

    def __iter__(self) -> Iterator[Shot]:
        return iter(list(self.shots))

    def __len__(self) -> int:
        return len(self.shots)

    def statuses(self) -> Counter[int | None]:
        """How many came back with each status; None for a closed connection."""
        return Counter(shot.status for shot in self)

    def answered(self) -> list[Shot]:
        """Those that came back with a verdict."""
        return [shot for shot in self if shot.status == 200]

    def codes(self) -> Counter[str]:
        """How many problems came back with each code."""
        return Counter(str(shot.answer["code"]) for shot in self if "code" in shot.answer)

    def said(self) -> str:
        """The statuses in words, for the table of drills."""
        named = {status: str(status or "closed") for status in self.statuses()}
        parts = [f"{n} x {named[s]}" for s, n in sorted(self.statuses().items(), key=lambda i: i[0] or 0)]
        slowest = max((shot.seconds for shot in self), default=0.0)
        return f"{len(self)} photos: {', '.join(parts)}; slowest {slowest:.1f} s"


def photos(count: int = 12) -> list[Photo]:
    """Photos for the tiny bundle, a third each clean, scratched and anomalous; no two alike."""
    paints = (("clean", clean_photo), ("scratched", scratched_photo), ("anomalous", anomalous_photo))
    chosen = itertools.islice(itertools.cycle(paints), count)
    return [Photo(encode(paint(seed=n), ".jpg"), verdict) for n, (verdict, paint) in enumerate(chosen)]


def post(
    port: int,
    photo: Photo,
    *,
    query: str = "",
    deadline_ms: int = DEADLINE_MS,
    headers: Mapping[str, str] | None = None,
) -> Shot:
    """Post one photo on a connection of its own; never raises for what the service does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=deadline_ms / 1e3 + 10.0)
    sent = {**photo.headers, "x-deadline-ms": str(deadline_ms), **(headers or {})}
    begun = time.monotonic()
    status: int | None = None
    answer: dict[str, Any] = {}
    try:
        connection.request("POST", f"/inspect{query}", body=photo.data, headers=sent)
        response = connection.getresponse()
        answer = json.loads(response.read())
        status = response.status
    except (OSError, http.client.HTTPException):
        answer = {}
    finally:
        connection.close()
    return Shot(photo, status, answer, time.monotonic() - begun, deadline_ms / 1e3)


@contextmanager
def cameras(
    port: int,
    album: Sequence[Photo],
    *,
    count: int = 3,
    pause: float = 0.0,
    query: str = "",
    deadline_ms: int = DEADLINE_MS,
    headers: Mapping[str, str] | None = None,
    serials: bool = False,
) -> Iterator[Shots]:
    """Post photos from `count` threads, each going round the album, until the block ends.

    `pause` seconds lie between two photos of one camera. With `serials`, which takes a `query`, each photo
    has a serial of its own. All threads have ended when the block has.
    """
    shots, stop = Shots(), threading.Event()

    def shoot(first: int) -> None:
        for number in itertools.count(first):
            if stop.is_set():
                return
            photo = album[number % len(album)]
            named = f"{query}&serial={uuid.uuid4().hex}" if serials else query
            shot = post(port, photo, query=named, deadline_ms=deadline_ms, headers=headers)
            shots.add(shot)
            # Where nobody listens, a refused connection costs nothing, and the loop would take a core.
            stop.wait(max(pause, 0.02) if shot.status is None else pause)

    threads = [threading.Thread(target=shoot, args=[first], daemon=True) for first in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield shots
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def wait_for(condition: Any, what: str, seconds: float = 60.0) -> None:
    """Wait until `condition()` is true; fail the test, saying what was awaited, if it never is."""
    last = time.monotonic() + seconds
    while time.monotonic() < last:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


def wait_for_answers(shots: Shots, more: int) -> None:
    """Wait for so many more answers, closed connections among them."""
    wanted = len(shots) + more
    wait_for(lambda: len(shots) >= wanted, f"{more} more answers")


def assert_never_clean_by_fault(shots: Shots | Sequence[Shot]) -> None:
    """Assert the property of this module over what came back. Every verdict must also be the healthy one."""
    for shot in shots:
        said = f"{shot.photo.verdict} photo: {shot.status} {shot.answer} after {shot.seconds:.2f} s"
        assert shot.seconds <= shot.deadline + GRACE_SECONDS, f"too late: {said}"
        if shot.status == 200:
            assert shot.verdict == shot.photo.verdict, f"wrong verdict: {said}"
        else:
            assert shot.verdict in ("invalid", "closed"), f"a verdict without status 200: {said}"
