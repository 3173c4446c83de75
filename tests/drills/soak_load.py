"""The load of the soak: an album with known answers, and clients that post it at a pace or as they can."""

import http.client
import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from tests.drills.harness import Photo, photos
from tests.models.photo_files import giants
from tests.tiny_bundle import Pixels, encode

CLIENTS = 8
# Below the time after which the service hangs up on an idle client.
IDLE_SECONDS = 2.0
FORMATS = {
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".bmp": "image/bmp",
    ".webp": "image/webp",
    ".tiff": "image/tiff",
}
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
INSPECTED = 54
INVALID = "invalid"


@dataclass(frozen=True)
class Post:
    """One posted photo.

    Attributes:
        due: when it was to be sent, in seconds since the load began.
        seconds: from then to the end of the answer, so that a late start counts as a slow answer.
        status: 200 or a 4xx that was expected; None when the connection was lost.
        error: what was wrong; empty when nothing was.
    """

    due: float
    seconds: float
    status: int | None
    error: str


class Client:
    """A camera that keeps its connection."""

    def __init__(self, port: int, number: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._number = number
        self._serials = itertools.count()
        self._last = -IDLE_SECONDS

    def post(self, photo: Photo) -> tuple[int | None, str]:
        """Post a photo; its status and verdict, or None and why the connection was lost."""
        if time.monotonic() - self._last > IDLE_SECONDS:
            self._connection.close()
        query = f"camera=cam{self._number}&serial=S{self._number}-{next(self._serials)}"
        try:
            self._connection.request(
                "POST", f"/inspect?{query}", body=photo.data, headers=dict(photo.headers)
            )
            response = self._connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return None, repr(error)
        finally:
            self._last = time.monotonic()
        return response.status, str(answer["verdict"])

    def close(self) -> None:
        self._connection.close()


def album(folder: Path | None) -> list[Photo]:
    """Photos of several formats in a fixed random order; one in ten is to be refused: `invalid`.

    Args:
        folder: photos to choose from, in folders of its own or not; without it, those for the tiny bundle.
    """
    chance = random.Random(7)
    if folder is None:
        pictures = [photo.data for photo in photos(INSPECTED)]
    else:
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        pictures = [file.read_bytes() for file in chance.sample(files, min(INSPECTED, len(files)))]
    assert pictures, f"no photos in {folder}"
    kinds = itertools.cycle(FORMATS.items())
    inspected = [
        Photo(_converted(data, suffix), "", {"content-type": kind})
        for data, (suffix, kind) in zip(pictures, kinds, strict=False)
    ]
    whole = inspected[0].data
    height, width = _pixels(whole).shape[:2]
    refused = [
        Photo(whole[: len(whole) // 2], INVALID),
        Photo(giants()["PNG"], INVALID, {"content-type": "image/png"}),
        Photo(b"not a photo", INVALID),
        Photo(whole, INVALID, {"content-type": "text/plain"}),
        Photo(b"", INVALID),
        Photo(encode(0 * _pixels(whole)[: height // 8, : width // 8], ".png"), INVALID),
    ]
    mixed = [*inspected, *refused]
    chance.shuffle(mixed)
    return mixed


def with_expected_verdicts(port: int, mixed: Sequence[Photo]) -> list[Photo]:
    """Post each photo once while nothing else happens: what is said now must be said every time."""
    client = Client(port, 0)
    known = []
    for photo in mixed:
        status, verdict = client.post(photo)
        refused = status is not None and 400 <= status < 500
        assert status == 200 or refused, f"{status} {verdict} before the load"
        assert refused or not photo.verdict, "a photo that was to be refused has a verdict"
        known.append(replace(photo, verdict=verdict))
    client.close()
    assert any(photo.verdict != INVALID for photo in known), "no photo of the album gets a verdict"
    return known


def capacity(port: int, mixed: Sequence[Photo], seconds: float) -> float:
    """Photos per second that the clients get answered when each posts as soon as it can."""
    begun = time.monotonic()
    end = begun + seconds
    posts = _with_clients(port, mixed, begun, lambda number: time.monotonic() - begun, end)
    assert not any(post.error for post in posts), "errors while the capacity was measured"
    return len(posts) / (time.monotonic() - begun)


def paced(port: int, mixed: Sequence[Photo], rate: float, seconds: float, posts: list[Post]) -> None:
    """Post at `rate` photos per second, whatever the answers take; append each to `posts` once it is over."""
    begun = time.monotonic()
    _with_clients(port, mixed, begun, lambda number: number / rate, begun + seconds, posts)


def _with_clients(
    port: int,
    mixed: Sequence[Photo],
    begun: float,
    due_of: Callable[[int], float],
    end: float,
    posts: list[Post] | None = None,
) -> list[Post]:
    """Each client posts every eighth photo when it is due, until `end`."""
    done = [] if posts is None else posts

    def work(first: int) -> None:
        client = Client(port, first)
        for number in itertools.count(first, CLIENTS):
            due = due_of(number)
            # A client that fell behind does not go on when the time is over.
            if max(begun + due, time.monotonic()) >= end:
                break
            time.sleep(max(0.0, begun + due - time.monotonic()))
            photo = mixed[number % len(mixed)]
            status, verdict = client.post(photo)
            done.append(Post(due, time.monotonic() - begun - due, status, _wrong(photo, status, verdict)))
        client.close()

    threads = [threading.Thread(target=work, args=(first,)) for first in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done


def _wrong(photo: Photo, status: int | None, verdict: str) -> str:
    if status is None:
        return f"connection lost: {verdict}"
    if status >= 500:
        return f"status {status}"
    if verdict != photo.verdict or (status == 200) != (verdict != INVALID):
        return f"status {status}, {verdict} in place of {photo.verdict}"
    return ""


def _converted(data: bytes, suffix: str) -> bytes:
    """The photo in another format; a JPEG is left as it is."""
    if suffix == ".jpg" and data.startswith(b"\xff\xd8"):
        return data
    return encode(_pixels(data), suffix)


def _pixels(data: bytes) -> Pixels:
    """uint8 RGB [H, W, 3]."""
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert decoded is not None, "OpenCV cannot read a photo of the album"
    return np.asarray(decoded, np.uint8)
