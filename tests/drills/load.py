"""Cameras that post photos as fast as they are answered, and remember every answer."""

import hashlib
import http.client
import json
import threading
import uuid
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from tests.tiny_bundle import anomalous_photo, clean_photo, encode, scratched_photo

PHOTOS = [
    (verdict, data, hashlib.sha256(data).hexdigest())
    for verdict, paint in (
        ("clean", clean_photo),
        ("scratched", scratched_photo),
        ("anomalous", anomalous_photo),
    )
    for data in (encode(paint(seed=seed), ".jpg") for seed in range(5))
]


@dataclass(frozen=True)
class Answered:
    """A photo that got a verdict: the inspection's id, and what was sent."""

    id: str
    serial: str
    expected: str
    verdict: str
    sha256: str


@dataclass
class Load:
    """Posts from several threads while the block lasts. A refused or broken connection is tried again."""

    port: int
    cameras: int = 4
    query: str = "overlay=none"
    answers: list[Answered] = field(default_factory=list)
    problems: list[dict[str, Any]] = field(default_factory=list)
    broken: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> "Load":
        for number in range(self.cameras):
            thread = threading.Thread(target=self._post_photos, args=(number,), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30.0)
            assert not thread.is_alive(), "a camera got neither an answer nor a closed connection"

    @property
    def codes(self) -> Counter[str]:
        """How often each problem was answered."""
        return Counter(problem["code"] for problem in list(self.problems))

    def _post_photos(self, camera: int) -> None:
        number = camera
        while not self._stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
            try:
                while not self._stop.is_set():
                    self._post(connection, camera, *PHOTOS[number % len(PHOTOS)])
                    number += 1
            except (OSError, http.client.HTTPException):
                self.broken += 1
                self._stop.wait(0.02)
            finally:
                connection.close()

    def _post(
        self, connection: http.client.HTTPConnection, camera: int, expected: str, data: bytes, sha256: str
    ) -> None:
        serial = uuid.uuid4().hex
        path = f"/inspect?serial={serial}&camera=cam{camera}&{self.query}"
        connection.request("POST", path, body=data, headers={"content-type": "image/jpeg"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        if response.status == 200:
            self.answers.append(Answered(answer["id"], serial, expected, answer["verdict"], sha256))
        else:
            self.problems.append(answer)
            self._stop.wait(0.05)
