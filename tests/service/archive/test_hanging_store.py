"""A store that hangs, such as a network share that is gone, does not keep the service from ending."""

import json
import time
from pathlib import Path

import pytest

from service.server import EXIT_CODE_HANGING
from tests.service.live import serving
from tests.tiny_bundle import clean_photo, encode

HANGING = """
import sys, time
from pathlib import Path
from service.archive.store import LocalPhotoStore
from service.server import serve
from service.settings import Settings

port, bundles = sys.argv[1:3]
write = LocalPhotoStore.write

def write_or_hang(store, path, data):
    while (Path(store._root).parent / "gone").exists():
        time.sleep(1)
    write(store, path, data)

LocalPhotoStore.write = write_or_hang
serve(Settings.of(bundles=Path(bundles), port=int(port), device="cpu", threads=1, drain_seconds=1))
"""


@pytest.mark.slow
def test_the_service_ends_although_the_store_hangs(tiny_bundles: Path, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    with serving(tiny_bundles, script=HANGING, archive=folder) as live:
        (folder / "gone").touch()
        connection = live.connect()
        headers = {"content-type": "image/jpeg", "x-deadline-ms": "1000"}
        connection.request("POST", "/inspect", encode(clean_photo(), ".jpg"), headers)
        response = connection.getresponse()
        problem = json.loads(response.read())
        assert (response.status, problem["code"], problem["verdict"]) == (
            503,
            "archive_unavailable",
            "invalid",
        )
        assert "could not be kept before the deadline" in problem["detail"]
        connection.close()
        begun = time.monotonic()
        live.terminate()
        assert live.process.wait(30.0) == EXIT_CODE_HANGING
        # uvicorn's and the workers' time to drain, the archive's, and that of the last threads.
        assert time.monotonic() - begun < 15.0
        assert "these threads hang: glint-archive" in live.log.read_text()
