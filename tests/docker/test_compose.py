"""What the compose files promise, read from the files themselves."""

import re
from pathlib import Path
from typing import Any

import pytest

from service.settings import Settings

yaml = pytest.importorskip("yaml", reason="the compose files are read with PyYAML")

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKER = REPOSITORY / "docker"
FILES = ("compose.yaml", "compose.cpu.yaml")
RESET = "reset"


class ComposeLoader(yaml.SafeLoader):
    """YAML with the tag by which one compose file takes back what another says."""


ComposeLoader.add_constructor("!reset", lambda loader, node: RESET)


def service_in(name: str) -> dict[str, Any]:
    return yaml.load((DOCKER / name).read_text(), Loader=ComposeLoader)["services"]["glint"]


@pytest.fixture(scope="module")
def gpu() -> dict[str, Any]:
    return service_in("compose.yaml")


@pytest.fixture(scope="module")
def cpu() -> dict[str, Any]:
    return service_in("compose.cpu.yaml")


def test_a_gpu_is_reserved(gpu: dict[str, Any]) -> None:
    [device] = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_without_a_gpu_none_is_reserved(gpu: dict[str, Any], cpu: dict[str, Any]) -> None:
    assert cpu["deploy"] == RESET
    assert (gpu["build"]["target"], cpu["build"]["target"]) == ("cuda", "cpu")
    assert "environment" not in gpu, "the device is the image's to say"


def test_nothing_inside_can_be_written_or_gained(gpu: dict[str, Any]) -> None:
    assert gpu["read_only"] is True
    assert gpu["cap_drop"] == ["ALL"]
    assert gpu["security_opt"] == ["no-new-privileges:true"]
    bundles, archive = gpu["volumes"]
    assert (bundles["target"], bundles["read_only"]) == ("/bundles", True)
    assert bundles["bind"]["create_host_path"] is False
    assert archive == "archive:/archive", "what was inspected outlives the container"


def test_accepted_photos_are_answered_before_the_engine_kills(gpu: dict[str, Any]) -> None:
    # Open connections and then the workers are waited for, each as long as the service drains.
    grace = float(gpu["stop_grace_period"].removesuffix("s"))
    assert grace > 2 * Settings.model_fields["drain_seconds"].default + 5


def test_it_starts_again_and_its_logs_do_not_fill_the_disk(gpu: dict[str, Any]) -> None:
    assert gpu["restart"] == "unless-stopped"
    assert gpu["logging"]["options"].keys() >= {"max-size", "max-file"}


def test_only_this_machine_reaches_it_unless_told_otherwise(gpu: dict[str, Any]) -> None:
    [port] = gpu["ports"]
    assert port.startswith("${GLINT_ADDRESS:-127.0.0.1}:")


def test_every_variable_has_a_default_and_is_explained() -> None:
    explained = (REPOSITORY / "docs" / "operations.md").read_text()
    for name in FILES:
        text = (DOCKER / name).read_text()
        variables = re.findall(r"\$\{(\w+):-[^}]+\}", text)
        assert len(variables) == text.count("$")
        assert all(f"| `{variable}` |" in explained for variable in variables)
