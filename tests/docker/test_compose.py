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


def read(name: str) -> dict[str, Any]:
    return yaml.load((DOCKER / name).read_text(), Loader=ComposeLoader)


def service_in(name: str, service: str = "glint") -> dict[str, Any]:
    return read(name)["services"][service]


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
    assert "GLINT_DEVICE" not in gpu["environment"], "the device is the image's to say"


def test_nothing_inside_can_be_written_or_gained(gpu: dict[str, Any]) -> None:
    assert gpu["read_only"] is True
    assert gpu["cap_drop"] == ["ALL"]
    assert gpu["security_opt"] == ["no-new-privileges:true"]
    keys, bundles, *written = gpu["volumes"]
    for volume, target in ((bundles, "/bundles"), (keys, "/keys")):
        assert (volume["target"], volume["read_only"]) == (target, True)
        assert volume["bind"]["create_host_path"] is False
    assert [volume.rpartition(":")[2] for volume in written] == ["/archive", "/state"]


def test_keys_are_made_by_a_container_that_can_do_nothing_else(gpu: dict[str, Any]) -> None:
    keys, cpu_keys = service_in("compose.yaml", "keys"), service_in("compose.cpu.yaml", "keys")
    assert keys["profiles"], "it does not start with the service"
    assert keys["network_mode"] == "none"
    assert keys["read_only"] is True
    assert keys["cap_drop"] == ["ALL"]
    [folder] = keys["volumes"]
    assert "read_only" not in folder
    file = gpu["environment"]["GLINT_KEYS"]
    assert keys["environment"]["GLINT_KEYS"] == file
    assert file.startswith(f"{folder['target']}/")
    assert (keys["image"], cpu_keys["image"]) == (gpu["image"], service_in("compose.cpu.yaml")["image"])


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


def test_what_is_beside_the_service_runs_only_when_asked_for() -> None:
    services = read("compose.yaml")["services"]
    profiles = {name: service.get("profiles") for name, service in services.items() if name != "glint"}
    assert profiles == {
        "keys": ["keys"],
        "postgres": ["postgres"],
        "prometheus": ["monitoring"],
        "grafana": ["monitoring"],
    }
    assert "profiles" not in services["glint"]
    for name in profiles.keys() - {"keys"}:
        assert services[name]["restart"] == "unless-stopped"
        assert services[name]["logging"] == services["glint"]["logging"]
        assert re.search(r":v?\d+(\.\d+)*(-\w+)?$", services[name]["image"]), "a version, not `latest`"
        assert all(port.startswith("127.0.0.1:") for port in services[name].get("ports", []))


def test_the_service_waits_for_a_database_only_where_there_is_one(gpu: dict[str, Any]) -> None:
    assert gpu["depends_on"] == {"postgres": {"condition": "service_healthy", "required": False}}


def test_no_password_is_in_the_repository() -> None:
    compose = read("compose.yaml")
    for name, secret in compose["secrets"].items():
        assert secret == {"file": f"secrets/{name}"}
    assert "docker/secrets/" in (REPOSITORY / ".gitignore").read_text().splitlines()
    for name, service in compose["services"].items():
        for key, value in service.get("environment", {}).items():
            if "PASSWORD" in key:
                assert key.endswith("_FILE"), name
                assert value.removeprefix("/run/secrets/") in service["secrets"]


def test_every_volume_and_every_mounted_file_is_there() -> None:
    compose = read("compose.yaml")
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            if isinstance(volume, str):
                source = re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", volume).partition(":")[0]
                assert source in compose["volumes"] or (DOCKER / source).is_dir(), volume
