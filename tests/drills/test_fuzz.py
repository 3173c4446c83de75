"""Thousands of hostile uploads to a running service: it answers each, believes none, and keeps nothing."""

import http.client
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.drills.conftest import DrillRecord
from tests.drills.uploads import Upload, uploads
from tests.service.live import Live, serving
from tests.tiny_bundle import clean_photo, encode

UPLOADS = int(os.environ.get("GLINT_FUZZ_UPLOADS", "20000"))
SEED = int(os.environ.get("GLINT_FUZZ_SEED", "1"))
CLIENTS = 4
BATCH = 50
WARM_UP_SHARE = 0.2
# The allocator keeps some pages of its largest moment; a leak of one photo per upload would be gigabytes.
GROWTH_KB = 24 * 1024


class Cameras:
    """A few clients that keep their connections, and count what they are answered."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.statuses: Counter[int] = Counter()
        self.problems: list[str] = []
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._own = threading.local()
        self._connections: list[http.client.HTTPConnection] = []

    def send(self, batch: list[Upload]) -> None:
        """Send all, and note what is wrong with the answers."""
        for status, problem in self._pool.map(self._send_one, batch):
            self.statuses[status] += 1
            if problem:
                self.problems.append(problem)

    def close(self) -> None:
        self._pool.shutdown()
        for connection in self._connections:
            connection.close()

    def _send_one(self, upload: Upload) -> tuple[int, str]:
        if not hasattr(self._own, "connection"):
            self._own.connection = self.live.connect()
            self._connections.append(self._own.connection)
        connection: http.client.HTTPConnection = self._own.connection
        headers = dict(upload.headers) | (
            {"content-type": upload.content_type} if upload.content_type else {}
        )
        try:
            connection.request("POST", f"/inspect{upload.query}", body=upload.body, headers=headers)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return 0, f"no answer ({error!r}) to {upload}"
        return response.status, wrong(upload, response, body)


def wrong(upload: Upload, response: http.client.HTTPResponse, body: bytes) -> str:
    """What is wrong with an answer; empty when nothing is."""
    if response.status != 200:
        problem = json.loads(body)
        if response.status >= 500 or problem["verdict"] != "invalid" or b"Traceback" in body:
            return f"{response.status} {body[:300]!r} to {upload}"
        return ""
    if upload.whole is not None and not same_picture(upload.photo, upload.whole):
        return f"a verdict on a part of a photo: {upload}"
    return ""


def same_picture(photo: bytes, whole: bytes) -> bool:
    """Whether what was cut off did not belong to the picture."""
    one, other = (cv2.imdecode(np.frombuffer(d, np.uint8), cv2.IMREAD_UNCHANGED) for d in (photo, whole))
    return one is not None and other is not None and np.array_equal(one, other)


@contextmanager
def log_of(live: Live) -> Iterator[list[str]]:
    """What the service has logged, once it has ended."""
    lines: list[str] = []
    yield lines
    live.terminate()
    assert live.process.wait(30) == 0
    lines.extend(live.log.read_text().splitlines())


def memory_kb(live: Live) -> int:
    time.sleep(1.0)
    status = Path(f"/proc/{live.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


@pytest.mark.parametrize(
    "count", [pytest.param(300, marks=pytest.mark.slow), pytest.param(UPLOADS, marks=pytest.mark.drill)]
)
def test_no_upload_brings_the_service_down_or_gets_a_verdict_it_should_not(
    count: int, tiny_bundles: Path, drill_record: DrillRecord
) -> None:
    @seed(SEED)
    @settings(
        max_examples=count // BATCH,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(uploads(), min_size=BATCH, max_size=BATCH))
    def fuzz(batch: list[Upload]) -> None:
        nonlocal warm_kb
        # A problem is not raised here: hypothesis would print the whole batch with its photos.
        cameras.send(batch)
        if warm_kb == 0 and cameras.statuses.total() >= WARM_UP_SHARE * count:
            warm_kb = memory_kb(live)

    warm_kb = 0
    begun = time.monotonic()
    with serving(tiny_bundles, "--threads", "1") as live, log_of(live) as log:
        cameras = Cameras(live)
        fuzz()
        took = time.monotonic() - begun
        cameras.close()
        after_kb = memory_kb(live)
        connection = live.connect()
        good = encode(clean_photo(), ".jpg")
        connection.request("POST", "/inspect", body=good, headers={"content-type": "image/jpeg"})
        assert json.loads(connection.getresponse().read())["verdict"] == "clean"
        connection.close()
    assert cameras.problems == []
    assert cameras.statuses.total() >= count
    assert {200, 400, 413, 415, 422} <= set(cameras.statuses)
    assert after_kb - warm_kb < GROWTH_KB
    assert not [line for line in log if "Traceback" in line or " failed." in line]
    if count < UPLOADS:
        return
    by_status = ", ".join(f"{n:,} x {status}" for status, n in sorted(cameras.statuses.items()))
    drill_record(
        fault=f"Hostile uploads ({count:,})",
        provoked="photos of every format, damaged, cut off, forged, in bodies that are well made or not",
        expected="no 5xx, no crash, no verdict on a part of a photo, memory back at its level",
        seen=f"{cameras.statuses.total():,} uploads in {took:.0f} s: {by_status}; resident memory "
        f"{warm_kb / 1024:.1f} MB after the first fifth, {after_kb / 1024:.1f} MB at the end",
    )
