"""The service's image, built from nothing and run for real."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docker.box import REPOSITORY, Box, Builder, first_process, missing
from tests.service.live import Live, free_port
from tests.tiny_bundle import anomalous_photo, clean_photo, encode, make_tiny_bundle, scratched_photo

LARGEST_BYTES = 900_000_000
UV = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")

pytestmark = pytest.mark.image
needs_builder = pytest.mark.skipif(bool(missing()), reason=missing() or "images can be built here")


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    builder = Builder(tmp_path_factory.mktemp("images"))
    builder.make_base()
    yield builder
    builder.clear()


@pytest.fixture(scope="module")
def image(builder: Builder) -> str:
    return builder.build("cpu")


@pytest.fixture(scope="module")
def box(builder: Builder, image: str) -> Iterator[Box]:
    with builder.unpacked(image) as box:
        yield box


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    folder.chmod(0o755)  # the image's user must be able to read it
    make_tiny_bundle(folder)
    return folder


@pytest.fixture
def live(box: Box, bundles: Path, tmp_path: Path) -> Iterator[Live]:
    with box.serving(bundles, tmp_path) as live:
        yield live


def post(live: Live, data: bytes) -> tuple[int, dict[str, Any]]:
    connection = live.connect()
    try:
        connection.request("POST", "/inspect", body=data, headers={"content-type": "image/jpeg"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@needs_builder
def test_the_image_is_small(builder: Builder, image: str, record_property) -> None:
    layers = json.loads(builder.inspect(image)["Manifest"])["layers"]
    size = sum(layer["size"] for layer in layers)
    record_property("bytes", size)
    print(f"cpu image: {size / 1e6:.0f} MB")
    assert size <= LARGEST_BYTES


@needs_builder
def test_it_serves_and_holds_nothing_that_trains(box: Box) -> None:
    program = "import importlib.metadata as m; print(*sorted(d.name.lower() for d in m.distributions()))"
    installed = set(box.run("python", "-c", program).stdout.split())
    assert {"glint-inspection", "onnxruntime"} <= installed
    assert {"psycopg", "s3fs", "pyarrow", "opentelemetry-sdk"} <= installed
    assert not installed & {"torch", "torchvision", "anomalib", "onnxruntime-gpu", "pytest", "uv", "pip"}


@needs_builder
def test_the_versions_are_those_of_the_lock(box: Box) -> None:
    program = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()))"
    installed = set(box.run("python", "-c", program).stdout.lower().replace("_", "-").split())
    lock = (REPOSITORY / "requirements.lock").read_text()
    locked = set(re.findall(r"^[a-z0-9.-]+==[^ ;]+", lock.lower().replace("_", "-"), re.MULTILINE))
    assert {name for name in installed if not name.startswith("glint-inspection==")} <= locked


@needs_builder
def test_every_verdict_is_given_from_a_read_only_root_without_any_privilege(live: Live) -> None:
    process = Path(f"/proc/{first_process(live)}")
    status = process.joinpath("status").read_text()
    assert re.search(r"^Uid:\s+10001\s+10001\s", status, re.MULTILINE)
    assert re.search(r"^CapBnd:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
    mounts = {line.split()[1]: line.split()[3] for line in (process / "mounts").read_text().splitlines()}
    assert mounts["/"].startswith("ro,")
    assert mounts["/bundles"].startswith("ro,")

    paints = {"clean": clean_photo, "scratched": scratched_photo, "anomalous": anomalous_photo}
    for verdict, paint in paints.items():
        status_code, answer = post(live, encode(paint(), ".jpg"))
        assert (status_code, answer["verdict"]) == (200, verdict)


@needs_builder
def test_the_health_check_tells_a_ready_service_from_none(box: Box, live: Live) -> None:
    kind, *check = box.config["Healthcheck"]["Test"]
    assert kind == "CMD"
    # The management port is the container's own affair, so the check is pointed at the main one.
    assert box.run(*check, GLINT_MANAGEMENT_PORT=str(live.port)).returncode == 0
    assert box.run(*check, GLINT_MANAGEMENT_PORT=str(free_port())).returncode == 1


@needs_builder
def test_without_keys_it_does_not_listen_for_others(box: Box, bundles: Path) -> None:
    shutil.copytree(bundles / "bracket", box.root / "tmp" / "bracket")
    done = box.run("glint", "serve", GLINT_BUNDLES="/tmp/bracket", GLINT_PORT=str(free_port()))  # noqa: S108
    shutil.rmtree(box.root / "tmp" / "bracket")
    assert done.returncode == 1
    assert "glint keys add" in done.stderr


@needs_builder
def test_it_ends_with_code_0_when_told_to_stop_and_starts_again(
    box: Box, bundles: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        with box.serving(bundles, tmp_path) as live:
            assert post(live, encode(clean_photo(), ".jpg"))[0] == 200
            os.kill(first_process(live), signal.SIGTERM)
            assert live.process.wait(timeout=30) == 0


@needs_builder
def test_without_bundles_it_says_so_and_ends(box: Box) -> None:
    done = box.run("glint", "serve", GLINT_PORT=str(free_port()))
    assert done.returncode == 1
    assert "holds no complete bundle" in done.stderr


@pytest.mark.skipif(UV is None, reason="uv is not installed")
@pytest.mark.parametrize(("extra", "locks"), [("cuda", ["docker/cuda.lock"]), ("training", [])])
def test_the_locks_know_all_that_the_larger_targets_need(
    extra: str, locks: list[str], tmp_path: Path
) -> None:
    constraints = [word for lock in ["requirements.lock", *locks] for word in ("--constraints", lock)]
    wanted = ["--requirements", "pyproject.toml", "--extra", extra, *constraints]
    done = subprocess.run(
        [str(UV), "pip", "install", "--dry-run", "--require-hashes", "--target", str(tmp_path), *wanted],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ("torch==" in done.stderr) == (extra == "training")
    assert "nvidia-cudnn" in done.stderr
