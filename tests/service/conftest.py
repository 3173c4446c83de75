"""A running application for HTTP tests: the whole path, in this process."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.station.cameras import Cameras
from service.station.feed import Feed
from service.telemetry.names import BoundedNames

StartClient = Callable[..., TestClient]


@pytest.fixture
def start(tiny_bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartClient]:
    """Start an application with the given settings and wait until nothing is loading any more."""
    running: list[TestClient] = []

    def start_one(**settings: object) -> TestClient:
        given = {
            "bundles": tiny_bundles,
            "device": "cpu",
            "threads": 1,
            "decode_threads": 2,
            "archive": str(tmp_path_factory.mktemp("archive")),
            **settings,
        }
        client = TestClient(create_app(Settings.of(**given)))
        client.__enter__()
        running.append(client)
        last = time.monotonic() + 30.0
        while "being loaded" in client.get("/readyz").text:
            assert time.monotonic() < last, "it loads for ever"
            time.sleep(0.01)
        return client

    yield start_one
    for client in running:
        client.__exit__(None, None, None)


@pytest.fixture
def client(start: StartClient) -> TestClient:
    """A ready application with the part `bracket` on the CPU."""
    client = start()
    assert client.get("/readyz").status_code == 200
    return client


@pytest.fixture
def feed() -> Feed:
    """A feed that tells three cameras apart."""
    return Feed(Cameras(BoundedNames(3)), keeps_photos=True)
