"""TensorRT's engines: built whole or not at all, and refused unless they are those that were built."""

import ctypes
import hashlib
import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from models.cuda.tensorrt import RECORD, EngineCache, load_tensorrt
from models.errors import DeviceError


@pytest.fixture
def built(tmp_path: Path) -> EngineCache:
    """A finished cache with an engine of three bytes."""
    cache = cache_of(tmp_path)
    cache.begin()
    folder = Path(cache.options(0)["trt_engine_cache_path"])
    (folder / "TRTKernel_1.engine").write_bytes(b"abc")
    (folder / "TRTKernel_1.profile").write_bytes(b"d")
    cache.finish()
    return cache


def cache_of(
    root: Path, graph: bytes = b"graph", gpu: str = "NVIDIA H200", version: str = "101300"
) -> EngineCache:
    return EngineCache.of(root, graph, gpu=gpu, tensorrt=version, onnxruntime="1.31.1")


def test_another_model_gpu_or_version_has_another_folder(tmp_path: Path) -> None:
    caches = [
        cache_of(tmp_path),
        cache_of(tmp_path, graph=b"other"),
        cache_of(tmp_path, gpu="NVIDIA L4"),
        cache_of(tmp_path, version="101400"),
    ]
    assert len({cache.folder for cache in caches}) == 4
    assert cache_of(tmp_path).folder == caches[0].folder


def test_engines_from_before_tf32_and_fp16_were_ruled_out_are_not_taken(tmp_path: Path) -> None:
    place = hashlib.sha256(json.dumps(["NVIDIA H200", "101300", "1.31.1"]).encode()).hexdigest()
    assert not cache_of(tmp_path).folder.name.endswith(place[:16])


def test_tf32_is_off_before_the_first_library_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is loaded here stands in for TensorRT, which only a box with a GPU has."""
    found = []

    class Library:
        def __init__(self, path: str, mode: int = 0) -> None:
            found.append(os.environ.get("NVIDIA_TF32_OVERRIDE"))

        def getInferLibVersion(self) -> int:  # noqa: N802 (TensorRT's own name)
            return 101300

    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    monkeypatch.setattr(ctypes, "CDLL", Library)
    assert load_tensorrt() == "101300"
    assert found == ["0", "0"]


def test_finished_engines_are_used_from_their_folder(built: EngineCache) -> None:
    built.check()
    assert built.options(0)["trt_engine_cache_path"] == str(built.folder)
    assert [path.name for path in built.folder.parent.iterdir()] == [built.folder.name]


def test_without_engines_the_way_to_build_them_is_said(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no finished TensorRT engines") as error:
        cache_of(tmp_path).check()
    assert "glint warmup --device cuda --tensorrt" in error.value.remedy


def test_a_build_that_was_cut_off_is_not_finished_and_is_begun_anew(tmp_path: Path) -> None:
    cache = cache_of(tmp_path)
    cache.begin()
    partial = Path(cache.options(0)["trt_engine_cache_path"])
    (partial / "half.engine").write_bytes(b"ab")
    assert not cache.finished
    with pytest.raises(DeviceError, match="no finished"):
        cache.check()
    cache.begin()
    assert list(partial.iterdir()) == []


def test_a_build_that_is_given_up_leaves_nothing_and_finished_engines_stay(built: EngineCache) -> None:
    other = cache_of(built.folder.parent, graph=b"other")
    other.begin()
    other.discard()
    built.discard()
    assert [path.name for path in built.folder.parent.iterdir()] == [built.folder.name]
    built.check()


def test_a_build_without_an_engine_is_refused(tmp_path: Path) -> None:
    cache = cache_of(tmp_path)
    cache.begin()
    with pytest.raises(DeviceError, match="built no engine"):
        cache.finish()
    assert not cache.finished


@pytest.mark.parametrize("damage", ["altered", "added", "removed", "record"])
def test_engines_that_are_not_those_that_were_built_are_refused(built: EngineCache, damage: str) -> None:
    engine = built.folder / "TRTKernel_1.engine"
    if damage == "altered":
        engine.write_bytes(b"abd")
    elif damage == "added":
        (built.folder / "TRTKernel_2.engine").write_bytes(b"x")
    elif damage == "removed":
        engine.unlink()
    else:
        (built.folder / RECORD).write_text(json.dumps([]))
    with pytest.raises(DeviceError, match=r"not those that|cannot be read") as error:
        built.check()
    assert "Remove that folder" in error.value.remedy


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceError, match="cannot be built in") as error:
        cache_of(tmp_path / "file").begin()
    assert "GLINT_TENSORRT_CACHE" in error.value.remedy


def test_without_tensorrt_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "")  # it is put back after the test
    if find_spec("tensorrt_libs"):
        assert load_tensorrt().isdigit()
        return
    with pytest.raises(DeviceError, match="libnvinfer") as error:
        load_tensorrt()
    assert "pip install" in error.value.remedy
