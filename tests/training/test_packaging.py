"""Where a bundle may go, and what the manifest keeps of how it was made."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import DatasetError, DeviceError, TrunkError, UsageError
from training.config import TrainConfig
from training.packaging import check_destination
from training.plan import plan_training


def test_a_place_that_can_be_written_to_is_taken_and_nothing_is_made(tmp_path: Path) -> None:
    check_destination(tmp_path / "new" / "bundles", "bracket")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("taken", ["bundles", "bundles/bracket"])
def test_a_place_where_a_file_lies_is_refused(tmp_path: Path, taken: str) -> None:
    path = tmp_path / taken
    path.parent.mkdir(exist_ok=True)
    path.write_text("a file, not a folder")
    with pytest.raises(UsageError, match="is not a folder") as caught:
        check_destination(tmp_path / "bundles", "bracket")
    assert "--bundles" in caught.value.remedy


def test_a_place_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The permissions themselves would not stop root, as whom tests may run.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(UsageError, match="cannot be written to"):
        check_destination(tmp_path, "bracket")


def test_the_place_is_looked_at_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "bundles").write_text("a file, not a folder")
    config = TrainConfig(photos=tmp_path / "missing", part="bracket", bundles=tmp_path / "bundles")
    with pytest.raises(UsageError, match="bundles"):
        plan_training(config)


def test_a_trunk_or_a_gpu_that_is_not_there_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(photos=tmp_path / "missing", part="bracket", bundles=tmp_path)
    with pytest.raises(TrunkError, match=r"no trunk file nowhere\.pth"):
        plan_training(replace(config, trunk="nowhere.pth"))
    (tmp_path / "trunk.bin").touch()
    with pytest.raises(TrunkError, match=r"neither \.safetensors nor \.pth"):
        plan_training(replace(config, trunk=str(tmp_path / "trunk.bin")))

    def no_driver(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr("ctypes.CDLL", no_driver)
    with pytest.raises(DeviceError, match="No NVIDIA driver"):
        plan_training(replace(config, device="cuda"))


def test_what_a_killed_training_left_is_named_at_the_next_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    left = tmp_path / "bundles" / "bracket" / ".partial-20260101-000000"
    left.mkdir(parents=True)
    (tmp_path / "bundles" / "lid" / ".partial-20260101-000000").mkdir(parents=True)
    config = TrainConfig(photos=tmp_path / "missing", part="bracket", bundles=tmp_path / "bundles")
    with caplog.at_level(logging.WARNING, logger="training"), pytest.raises(DatasetError):
        plan_training(config)
    assert [record.getMessage() for record in caplog.records] == [
        f"{left} is left of a training that was cut off; remove it, unless one is running."
    ]
    assert left.is_dir()


@pytest.mark.parametrize(
    ("trunk", "kept"), [("auto", "auto"), ("glint", "glint"), ("none", "none"), ("/home/me/my.pth", "file")]
)
def test_the_manifest_names_the_trunk_that_was_asked_for_but_no_path(trunk: str, kept: str) -> None:
    assert TrainConfig(photos=Path("photos"), part="bracket", trunk=trunk).summary()["trunk"] == kept
