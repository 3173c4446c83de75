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

import pytest

from tests.docker.box import Box, Running, make_site
from tests.docker.builder import REPOSITORY, Builder, missing
from tests.drills.conftest import DrillRecord
from tests.service.live import free_port
from tests.tiny_bundle import anomalous_photo, clean_photo, encode, scratched_photo

LARGEST_BYTES = 900_000_000
SLOWEST_START_SECONDS = 15.0
PAINTS = {"clean": clean_photo, "scratched": scratched_photo, "anomalous": anomalous_photo}
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


@pytest.fixture
def site(box: Box, tmp_path: Path) -> Path:
    return make_site(tmp_path, box.user)


def add_key(box: Box, site: Path, role: str) -> str:
    """Make a key as `docker compose run keys add` does."""
    added = box.run_service("keys", site, "add", "--role", role, "--name", f"the {role}")
    assert added.returncode == 0, added.stderr
    return added.stdout.strip()


@pytest.fixture
def key(box: Box, site: Path) -> str:
    """The key of an operator, who may post and read."""
    return add_key(box, site, "operator")


@pytest.fixture
def running(box: Box, site: Path, key: str) -> Iterator[Running]:
    with box.serving(site) as running:
        yield running


def ask(
    running: Running, method: str, path: str, key: str = "", photo: bytes | None = None
) -> tuple[int, bytes]:
    connection = running.main.connect()
    try:
        headers = {"x-api-key": key} if key else {}
        if photo is not None:
            headers["content-type"] = "image/jpeg"
        connection.request(method, path, body=photo, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@needs_builder
def test_the_image_is_small(builder: Builder, image: str) -> None:
    assert builder.size(image) <= LARGEST_BYTES


@needs_builder
def test_it_serves_and_holds_nothing_that_trains(box: Box) -> None:
    program = "import importlib.metadata as m; print(*sorted(d.name.lower() for d in m.distributions()))"
    installed = set(box.run("python", "-c", program).stdout.split())
    assert {"glint-inspection", "onnxruntime"} <= installed
    assert not installed & {"torch", "torchvision", "anomalib", "onnxruntime-gpu", "pytest", "uv", "pip"}


@needs_builder
def test_it_has_what_postgresql_s3_parquet_and_traces_need(box: Box) -> None:
    exporter = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
    done = box.run(
        "python", "-c", f"import psycopg, s3fs, pyarrow.parquet, opentelemetry.sdk.trace, {exporter}"
    )
    assert done.returncode == 0, done.stderr


@needs_builder
def test_the_versions_are_those_of_the_lock(box: Box) -> None:
    program = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()))"
    installed = set(box.run("python", "-c", program).stdout.lower().replace("_", "-").split())
    lock = (REPOSITORY / "requirements.lock").read_text()
    locked = set(re.findall(r"^[a-z0-9.-]+==[^ ;]+", lock.lower().replace("_", "-"), re.MULTILINE))
    assert {name for name in installed if not name.startswith("glint-inspection==")} <= locked


@needs_builder
def test_every_verdict_is_given_from_a_read_only_root_without_any_privilege(
    running: Running, key: str
) -> None:
    process = Path(f"/proc/{running.first_process}")
    status = process.joinpath("status").read_text()
    assert re.search(r"^Uid:\s+10001\s+10001\s", status, re.MULTILINE)
    assert re.search(r"^CapBnd:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
    mounts = {line.split()[1]: line.split()[3] for line in (process / "mounts").read_text().splitlines()}
    for read_only in ("/", "/bundles", "/keys"):
        assert mounts[read_only].startswith("ro,"), read_only
    for written in ("/archive", "/state", "/tmp"):  # noqa: S108
        assert mounts[written].startswith("rw,"), written

    for verdict, paint in PAINTS.items():
        code, answer = ask(running, "POST", "/inspect", key, encode(paint(), ".jpg"))
        assert (code, json.loads(answer)["verdict"]) == (200, verdict)


@needs_builder
def test_a_camera_gets_in_by_its_key_and_nobody_without(box: Box, site: Path) -> None:
    camera = add_key(box, site, "camera")
    with box.serving(site) as running:
        assert ask(running, "POST", "/inspect", "", encode(clean_photo(), ".jpg"))[0] == 401
        assert ask(running, "POST", "/inspect", camera, encode(clean_photo(), ".jpg"))[0] == 200
        assert ask(running, "GET", "/inspections", camera)[0] == 403
    assert oct((site / "keys" / "keys.json").stat().st_mode & 0o777) == "0o600"


@needs_builder
def test_without_keys_it_does_not_listen_for_others(box: Box, site: Path) -> None:
    refused = box.run_service("glint", site)
    assert refused.returncode == 1
    assert "There is no file of keys at /keys/keys.json" in refused.stderr
    unset = box.run_service("glint", site, environment={"GLINT_PORT": str(free_port())})
    assert unset.returncode == 1
    assert "glint keys add" in unset.stderr


@needs_builder
def test_the_health_check_tells_a_ready_service_from_none(box: Box, running: Running) -> None:
    kind, *check = box.config["Healthcheck"]["Test"]
    assert kind == "CMD"
    assert box.run(*check, GLINT_MANAGEMENT_PORT=str(running.management.port)).returncode == 0
    assert box.run(*check, GLINT_MANAGEMENT_PORT=str(free_port())).returncode == 1


def check_archive(running: Running, key: str, photos: dict[str, bytes]) -> None:
    """Exactly these inspections are found again, by their ids, each with its photo."""
    found = json.loads(ask(running, "GET", "/inspections", key)[1])["inspections"]
    assert sorted(inspection["id"] for inspection in found) == sorted(photos)
    for inspection_id, photo in photos.items():
        assert ask(running, "GET", f"/inspections/{inspection_id}", key)[0] == 200
        assert ask(running, "GET", f"/inspections/{inspection_id}/image", key) == (200, photo)


@needs_builder
def test_the_archive_is_intact_after_each_restart(
    box: Box, site: Path, key: str, builder: Builder, image: str, drill_record: DrillRecord
) -> None:
    photos: dict[str, bytes] = {}
    starts = []
    for seed, ending in enumerate((signal.SIGTERM, signal.SIGKILL, signal.SIGTERM)):
        with box.serving(site) as running:
            starts.append(running.ready_after)
            check_archive(running, key, photos)
            kept = len(photos)
            for paint in PAINTS.values():
                photo = encode(paint(seed=seed), ".jpg")
                status, answer = ask(running, "POST", "/inspect", key, photo)
                assert status == 200
                photos[json.loads(answer)["id"]] = photo
            os.kill(running.first_process, ending)
            code = running.main.process.wait(timeout=30)
            assert (code == 0) == (ending == signal.SIGTERM)
    assert max(starts) < SLOWEST_START_SECONDS
    drill_record(
        fault="The container is stopped, killed, and started again",
        provoked="the CPU image, built on a bare Debian and run as Compose does; SIGTERM, then kill -9",
        expected="900 MB at most; exit 0 after SIGTERM; ready within 15 s; every inspection and photo there",
        seen=f"{builder.size(image) / 1e6:.0f} MB; exit 0; ready after "
        f"{', '.join(f'{seconds:.1f}' for seconds in starts)} s; all {kept} inspections and photos there",
    )


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
