"""`glint warmup`: what would be served runs here, or the reason why not."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from models.bundle import MANIFEST, Bundle, sha256_of_file, write_manifest
from models.cuda.tensorrt import RECORD, TENSORRT
from models.errors import BundleError, DeviceError
from models.inspector import Inspector
from models.session import CPU
from service.cli import app
from service.errors import SettingsError
from service.settings import Settings
from service.warmup import Failed, Warmed, warm_up_bundle, warm_up_bundles
from tests.tiny_bundle import encode, make_tiny_bundle, poisonous_photo


def settings(bundles: Path, **given: object) -> Settings:
    return Settings.of(**{"bundles": bundles, "device": "cpu", "threads": 1, **given})


def warmup(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["warmup", *(str(argument) for argument in arguments)])


def test_each_part_is_opened_run_and_proved(tiny_bundles: Path) -> None:
    (warmed,) = warm_up_bundles(settings(tiny_bundles))
    assert isinstance(warmed, Warmed)
    assert (warmed.part, warmed.provider, warmed.golden) == ("bracket", CPU, 3)
    assert warmed.run_ms.keys() == warmed.warm_up_s.keys() == {1}


def test_the_activated_bundle_is_warmed_up_beside_the_newest(tmp_path: Path) -> None:
    for version in ("20260101-000000", "20260102-000000", "20260103-000000"):
        make_tiny_bundle(tmp_path / "bundles", version=version)
    (tmp_path / "active.json").write_text('{"bracket": "20260101-000000"}')
    warmed = warm_up_bundles(settings(tmp_path / "bundles", state=tmp_path))
    assert [part.version for part in warmed if isinstance(part, Warmed)] == [
        "20260103-000000",
        "20260101-000000",
    ]


def test_an_activated_bundle_that_is_gone_is_a_failure_as_it_is_to_the_service(tmp_path: Path) -> None:
    make_tiny_bundle(tmp_path / "bundles", version="20260102-000000")
    (tmp_path / "active.json").write_text('{"bracket": "20260101-000000"}')
    found = list(warm_up_bundles(settings(tmp_path / "bundles", state=tmp_path)))
    (failed,) = [part for part in found if isinstance(part, Failed)]
    assert failed.part == "bracket"
    assert "20260101-000000" in failed.reason
    assert "activated" in failed.reason


def test_an_activated_bundle_is_warmed_up_although_the_newest_cannot_be_read(tmp_path: Path) -> None:
    make_tiny_bundle(tmp_path / "bundles", version="20260101-000000")
    newest = make_tiny_bundle(tmp_path / "bundles", version="20260102-000000")
    (newest / MANIFEST).write_text("nothing")
    assert [type(part) for part in warm_up_bundles(settings(tmp_path / "bundles", state=tmp_path))] == [
        Failed
    ]
    (tmp_path / "active.json").write_text('{"bracket": "20260101-000000"}')
    (warmed,) = warm_up_bundles(settings(tmp_path / "bundles", state=tmp_path))
    assert isinstance(warmed, Warmed)
    assert warmed.version == "20260101-000000"


def test_a_damaged_part_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    damaged = make_tiny_bundle(tmp_path, part="cap")
    make_tiny_bundle(tmp_path, part="bracket")
    (damaged / "inspector.onnx").write_bytes(b"nothing")
    by_part = {part.part: part for part in warm_up_bundles(settings(tmp_path))}
    assert isinstance(by_part["bracket"], Warmed)
    failed = by_part["cap"]
    assert isinstance(failed, Failed)
    assert "altered" in failed.reason
    result = warmup("--bundles", tmp_path, "--device", "cpu")
    assert result.exit_code == 1
    assert "wrong cap" in result.output


def test_the_timings_of_each_batch_size_are_printed(tiny_bundles: Path) -> None:
    result = warmup("--bundles", tiny_bundles, "--device", "cpu", "--threads", 1)
    assert result.exit_code == 0, result.output
    assert f"bracket 20260101-000000 on {CPU}" in result.output
    assert "batch of 1: warmed up in" in result.output


def test_cuda_without_a_gpu_is_an_error(tiny_bundle: Path) -> None:
    if Inspector.load(tiny_bundle, "auto", threads=1).provider != CPU:
        warmed = warm_up_bundle(tiny_bundle, settings(tiny_bundle, device="cuda"))
        assert warmed.run_ms.keys() == {1, 2, 4, 8, 16, 32}
        return
    with pytest.raises(DeviceError) as error:
        warm_up_bundle(tiny_bundle, settings(tiny_bundle, device="cuda"))
    assert "--device cpu" in error.value.remedy


def test_a_model_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    broken = make_tiny_bundle(tmp_path, part="cap")
    make_tiny_bundle(tmp_path, part="bracket")
    poison = broken / "golden" / "clean.png"
    poison.write_bytes(encode(poisonous_photo()))
    manifest = Bundle.open(broken, verify=False).manifest
    files = {**manifest.files, "golden/clean.png": sha256_of_file(poison)}
    write_manifest(broken, manifest.model_copy(update={"files": files}))
    by_part = {part.part: part for part in warm_up_bundles(settings(tmp_path))}
    failed = by_part["cap"]
    assert isinstance(failed, Failed)
    assert "Gather" in failed.reason, "what ONNX Runtime said"
    assert isinstance(by_part["bracket"], Warmed)


def test_no_bundle_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no complete bundle"):
        list(warm_up_bundles(settings(tmp_path)))


def test_engines_need_a_gpu_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="the device is cpu"):
        Settings.of(device="cpu", tensorrt=True, state=tmp_path)
    with pytest.raises(SettingsError, match="GLINT_TENSORRT_CACHE"):
        Settings.of(device="cuda", tensorrt=True)
    assert Settings.of(tensorrt=True, state=tmp_path).cuda().tensorrt == tmp_path / "tensorrt"
    assert Settings.of(tensorrt=True, tensorrt_cache=tmp_path).cuda().tensorrt == tmp_path
    assert Settings.of(state=tmp_path).cuda().tensorrt is None


def test_engines_that_cannot_be_built_are_a_failure(tiny_bundles: Path, tmp_path: Path) -> None:
    asked = settings(tiny_bundles, device="auto", tensorrt=True, tensorrt_cache=tmp_path)
    (found,) = warm_up_bundles(asked)
    if isinstance(found, Warmed):  # on a GPU with TensorRT
        assert found.provider == TENSORRT
        assert list(tmp_path.glob(f"*/{RECORD}"))
        return
    assert "CUDA" in found.reason or "TensorRT" in found.reason
    result = warmup("--bundles", tiny_bundles, "--tensorrt", "--tensorrt-cache", tmp_path)
    assert result.exit_code == 1
    assert "wrong bracket" in result.output


def test_settings_of_the_gpu_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"GPU_ID": "1", "GPU_MEMORY_MB": "4000", "CUDA_GRAPHS": "false"}.items():
        monkeypatch.setenv(f"GLINT_{name}", value)
    cuda = Settings.of().cuda()
    assert (cuda.device_id, cuda.memory_mb, cuda.graphs, cuda.build_engines) == (1, 4000, False, False)
