"""Two bundles that differ on one photo, and waiting for a candidate to have judged."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from models.decision import Limits
from tests.tiny_bundle import anomalous_photo, clean_photo, encode, make_tiny_bundle, scratched_photo

OLD, NEW = "20260101-000000", "20260102-000000"
JPEG = {"content-type": "image/jpeg"}
ODD = encode(anomalous_photo(), ".jpg")
GOOD = encode(clean_photo(), ".jpg")
SCRATCHED = encode(scratched_photo(), ".jpg")
# It passes what the older bundle calls anomalous.
LENIENT = Limits(classifier=0.5, anomaly=100.0)


def two_bundles(folder: Path) -> Path:
    """A bundles folder with `OLD` and the lenient `NEW`, which serves unless `OLD` is activated."""
    make_tiny_bundle(folder, version=OLD)
    make_tiny_bundle(folder, version=NEW, limits=LENIENT)
    return folder


def judge(client: TestClient, photo: bytes = ODD) -> dict[str, Any]:
    """Post a photo; its answer."""
    answer = client.post("/inspect?camera=cam1", content=photo, headers=JPEG)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def shadow_of(client: TestClient) -> dict[str, Any]:
    """How the shadow run of `bracket` is."""
    return dict(client.get("/parts/bracket/shadow").json())


def wait_for(holds: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Wait until something holds."""
    last = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < last, f"{what} did not come in time"
        time.sleep(0.02)


@dataclass
class Busy:
    """Says whether photos are being inspected, and counts how often it was asked since it is."""

    now: bool = False
    looks: int = 0

    def __call__(self) -> bool:
        self.looks += self.now
        return self.now

    def wait_for_looks(self, count: int) -> None:
        """Wait until somebody who waits for a pause has looked so often."""
        wait_for(lambda: self.looks >= count, "a look whether it is calm")
