"""Settings come from options, then from the environment, then from defaults."""

from pathlib import Path

import pytest

from service.errors import SettingsError
from service.settings import Settings


def test_options_win_over_the_environment_and_both_over_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLINT_PORT", "9000")
    monkeypatch.setenv("GLINT_BUNDLES", "elsewhere")
    settings = Settings.of(port=9001, bundles=None)
    assert settings.port == 9001
    assert settings.bundles == Path("elsewhere")
    assert settings.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "eighty"), ("DEVICE", "tpu"), ("QUEUE_SIZE", "0"), ("MAX_BYTES", "-1")]
)
def test_a_setting_that_does_not_hold_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"GLINT_{name}", value)
    with pytest.raises(SettingsError) as error:
        Settings.of()
    assert name.lower() in error.value.problem
    assert value in error.value.problem
    assert f"GLINT_{name}" in error.value.remedy


def test_photos_are_not_taken_for_orphans_before_the_last_deadline() -> None:
    assert Settings.of(max_deadline_ms=60_000, archive_orphan_seconds=60.1).archive_orphan_seconds == 60.1
    for deadline in ("deadline_ms", "max_deadline_ms"):
        with pytest.raises(SettingsError, match="longest deadline"):
            Settings.of(**{deadline: 90_000}, archive_orphan_seconds=90.0)
