"""With which settings `glint bench` measures."""

from pathlib import Path

import pytest

from service.bench.own_service import bench_settings
from service.errors import SettingsError
from service.settings import Settings

BUNDLE = Path("bundles/bracket/1")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """The environment, with nothing of the service in it, in an empty folder."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"GLINT_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def engines_of(settings: Settings) -> Path | None:
    """Where the child looks for engines; its settings are sent to it as JSON."""
    return Settings.model_validate_json(settings.model_dump_json()).cuda().tensorrt


def test_engines_are_found_in_the_state_folder_although_the_state_is_left_alone(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("GLINT_TENSORRT", "true")
    environment.setenv("GLINT_STATE", "state")
    settings = bench_settings(BUNDLE, None, None)
    assert engines_of(settings) == tmp_path / "state" / "tensorrt"
    assert settings.state is None


def test_a_folder_of_engines_is_the_same_from_any_other_folder(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("GLINT_TENSORRT", "true")
    environment.setenv("GLINT_TENSORRT_CACHE", "engines")
    assert engines_of(bench_settings(BUNDLE, "cuda", None)) == tmp_path / "engines"


def test_the_cpu_is_measured_where_the_service_uses_tensorrt(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GLINT_TENSORRT", "true")
    environment.setenv("GLINT_STATE", "state")
    settings = bench_settings(BUNDLE, "cpu", None)
    assert (settings.device, settings.tensorrt) == ("cpu", False)


def test_the_device_is_the_environments_unless_it_is_named(environment: pytest.MonkeyPatch) -> None:
    assert bench_settings(BUNDLE, None, None).device == "auto"
    environment.setenv("GLINT_DEVICE", "cpu")
    assert bench_settings(BUNDLE, None, None).device == "cpu"
    assert bench_settings(BUNDLE, "cuda", None).device == "cuda"


def test_a_long_deadline_is_taken_by_the_service(environment: pytest.MonkeyPatch) -> None:
    settings = bench_settings(BUNDLE, "cpu", 300_000)
    assert (settings.deadline_ms, settings.max_deadline_ms) == (300_000, 300_000)
    assert bench_settings(BUNDLE, "cpu", 5_000).max_deadline_ms == 60_000
    environment.setenv("GLINT_MAX_DEADLINE_MS", "900000")
    environment.setenv("GLINT_ARCHIVE_ORPHAN_SECONDS", "1000")
    assert bench_settings(BUNDLE, "cpu", None).max_deadline_ms == 900_000


@pytest.mark.parametrize(
    ("device", "deadline", "variables", "named"),
    [
        ("cpu", 0, {}, "deadline_ms"),
        (None, None, {"DEVICE": "cpu", "TENSORRT": "true"}, "tensorrt"),
        ("cuda", None, {"TENSORRT": "true"}, "GLINT_TENSORRT_CACHE"),
        ("cpu", None, {"QUEUE_SIZE": "0"}, "queue_size"),
    ],
)
def test_a_setting_that_does_not_hold_is_named(
    environment: pytest.MonkeyPatch, device, deadline: int | None, variables: dict[str, str], named: str
) -> None:
    for name, value in variables.items():
        environment.setenv(f"GLINT_{name}", value)
    with pytest.raises(SettingsError, match=named):
        bench_settings(BUNDLE, device, deadline)


def test_what_would_ask_for_keys_or_touch_an_archive_is_not_taken_over(
    environment: pytest.MonkeyPatch,
) -> None:
    for name in ("KEYS", "DATABASE_URL", "ARCHIVE", "STATE"):
        environment.setenv(f"GLINT_{name}", "somewhere")
    settings = bench_settings(BUNDLE, "cpu", None)
    assert (settings.keys, settings.database_url, settings.archive, settings.state) == (
        None,
        None,
        "none",
        None,
    )
