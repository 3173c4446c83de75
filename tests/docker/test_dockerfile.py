"""What the Dockerfile promises, read from the file itself, and the health check at work."""

import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from service.access.commands import add_key
from tests.service.live import SECONDS, command, free_port, serving
from tests.tiny_bundle import make_tiny_bundle

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKER = REPOSITORY / "docker"
PAUSE = 0.2  # between two health checks, each a process that takes time from the service that starts


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (DOCKER / "Dockerfile").read_text()


def stages(dockerfile: str) -> dict[str, str]:
    parts = re.split(r"^FROM (\S+) AS (\S+)$", dockerfile, flags=re.MULTILINE)[1:]
    return dict(zip(parts[1::3], parts[2::3], strict=True))


def test_every_target_runs_as_a_numbered_user_who_is_not_root(dockerfile: str) -> None:
    assert {"cpu", "cuda", "training"} <= stages(dockerfile).keys()
    assert stages(dockerfile)["runtime"].rstrip().endswith("USER 10001:10001")
    for stage in ("service", "cpu", "cuda"):
        assert "USER" not in stages(dockerfile)[stage]
    assert re.findall(r"^USER (.+)$", stages(dockerfile)["training"], re.MULTILINE)[-1] == "10001:10001"


def test_each_install_checks_hashes(dockerfile: str) -> None:
    joined = dockerfile.replace("\\\n", " ")
    installs = re.findall(r"uv pip install (.*?)(?:&&|$)", joined, re.MULTILINE)
    assert len(installs) == 6
    for arguments in installs:
        assert "--require-hashes" in arguments or "--require-build-hashes" in arguments


def test_the_images_hold_bytecode_that_a_start_need_not_make(dockerfile: str) -> None:
    """The user of the container cannot write it, so that every start would compile all that it imports."""
    found = stages(dockerfile)
    assert "UV_COMPILE_BYTECODE=1" in found["build"].split()
    for stage in ("build-cpu", "build-cuda", "build-training"):
        assert re.search(rf"^FROM build AS {stage}$", dockerfile, re.MULTILINE)
    assert "no-compile" not in dockerfile


def test_the_images_that_serve_have_every_database_store_and_exporter(dockerfile: str) -> None:
    joined = dockerfile.replace("\\\n", " ")
    for stage in ("build-cpu", "build-cuda"):
        [install] = re.findall(r"uv pip install --require-hashes (.*?)&&", stages(joined)[stage])
        assert {"postgres", "s3", "parquet", "telemetry"} <= set(re.findall(r"--extra (\w+)", install)), stage


def test_the_volumes_belong_to_the_images_user(dockerfile: str) -> None:
    assert "chown glint:glint /archive /state" in stages(dockerfile)["runtime"]
    assert {"GLINT_ARCHIVE=/archive", "GLINT_STATE=/state"} <= set(stages(dockerfile)["service"].split())


def test_the_cuda_image_refuses_to_run_without_a_gpu(dockerfile: str) -> None:
    assert "ENV GLINT_DEVICE=cuda " in stages(dockerfile)["cuda"]


def test_the_images_are_built_with_the_makefiles_uv(dockerfile: str) -> None:
    [of_images] = re.findall(r"^ARG UV_VERSION=(\S+)$", dockerfile, re.MULTILINE)
    [of_make] = re.findall(r"^UV_VERSION := (\S+)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert of_images == of_make


def test_the_build_sees_every_package_and_nothing_unnamed() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    pyproject = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    packages = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {f"!{package}/" for package in packages} <= set(rules)


def test_the_cuda_lock_only_fills_the_gaps_of_the_lock() -> None:
    def names(path: Path) -> set[str]:
        return set(re.findall(r"^([a-z0-9.-]+)==", path.read_text(), re.MULTILINE))

    twice = names(DOCKER / "cuda.lock") & names(REPOSITORY / "requirements.lock")
    assert not twice, f"take {twice} out of docker/cuda.lock, and the file away once it is empty"


def check_health(port: int, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "GLINT_PORT": str(port), "http_proxy": "http://127.0.0.1:9", **settings}
    command_line = [sys.executable, str(DOCKER / "healthcheck.py")]
    return subprocess.run(command_line, env=environment, capture_output=True, text=True, check=False)


def test_a_ready_service_is_healthy_and_one_that_is_gone_is_not(tiny_bundles: Path) -> None:
    with serving(tiny_bundles) as live:
        assert check_health(live.port).returncode == 0
    gone = check_health(live.port)
    assert (gone.returncode, "does not answer" in gone.stderr) == (1, True)


@pytest.mark.slow
def test_the_health_check_needs_no_key_where_there_is_a_management_port(
    tiny_bundles: Path, tmp_path: Path
) -> None:
    add_key(tmp_path / "keys.json", "line3", "camera")
    management = free_port()
    options = ["--keys", str(tmp_path / "keys.json"), "--management-port", str(management)]
    with subprocess.Popen(command(tiny_bundles, port := free_port(), *options)) as process:
        last = time.monotonic() + SECONDS
        while (health := check_health(port, GLINT_MANAGEMENT_PORT=str(management))).returncode != 0:
            assert process.poll() is None
            assert time.monotonic() < last, health.stderr
            time.sleep(PAUSE)
        assert check_health(port).returncode == 1
        process.kill()


def test_others_are_kept_out_of_the_image_by_default(dockerfile: str) -> None:
    assert "GLINT_HOST=0.0.0.0" in stages(dockerfile)["service"]
    assert "GLINT_ALLOW_ANONYMOUS" not in dockerfile.replace("or GLINT_ALLOW_ANONYMOUS=true", "")
    assert re.findall(r"^EXPOSE (.+)$", dockerfile, re.MULTILINE) == ["8000"]


def test_a_service_that_lives_but_is_not_ready_is_not_healthy(tmp_path: Path) -> None:
    (make_tiny_bundle(tmp_path) / "report.html").write_text("altered")
    port = free_port()
    with subprocess.Popen(command(tmp_path, port), stderr=subprocess.DEVNULL) as process:
        last = time.monotonic() + SECONDS
        while "checksum" not in (health := check_health(port)).stdout and time.monotonic() < last:
            assert process.poll() is None
            time.sleep(PAUSE)
        process.kill()
    assert "checksum" in health.stdout
    assert health.returncode == 1


def test_no_file_names_the_address_of_a_registry_or_an_index() -> None:
    for path in [*DOCKER.rglob("*"), REPOSITORY / ".dockerignore"]:
        if path.is_file():
            # Grafana names its neighbour in the compose file.
            assert "://" not in path.read_text().replace("http://prometheus:9090", ""), path
