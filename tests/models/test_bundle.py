"""The bundle on disk: complete and unaltered, or refused with the file's name."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from models.bundle import (
    GOLDEN_RESULTS,
    MANIFEST,
    SPLITS,
    Bundle,
    find_bundles,
    survey_bundles,
    write_manifest,
)
from models.errors import BundleError
from models.manifest import HeatmapScale, Manifest, checksum_of
from tests.tiny_bundle import make_tiny_bundle


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A bundle that a test may spoil."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bracket" / tiny_bundle.name))


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest's JSON and its checksum with it."""
    raw = json.loads((path / MANIFEST).read_text())
    change(raw)
    raw["checksum"] = checksum_of(raw)
    (path / MANIFEST).write_text(json.dumps(raw))


def test_a_whole_bundle_opens_with_its_records(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    assert bundle.manifest.part == "bracket"
    assert {result.verdict for result in bundle.golden_results()} == {"clean", "scratched", "anomalous"}
    assert bundle.splits() == []
    assert all(bundle.file(name).is_file() for name in bundle.manifest.files)


def test_one_altered_byte_in_any_file_is_found(copy: Path) -> None:
    for name in Bundle.open(copy).manifest.files:
        path = copy / name
        original = path.read_bytes()
        path.write_bytes(bytes([original[0] ^ 1]) + original[1:])
        with pytest.raises(BundleError, match=path.name):
            Bundle.open(copy)
        assert Bundle.open(copy, verify=False).manifest.part == "bracket"
        path.write_bytes(original)
    Bundle.open(copy)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"anomaly": 3.0', '"anomaly": 30.0'),
        ('"classifier": 0.5', '"classifier": null'),
        ('"version": "2026', '"version": "2027'),
        ('"checksum": "', '"checksum": "0'),
        ('  "checksum"', '  "was_the_checksum"'),
    ],
)
def test_a_manifest_altered_by_hand_is_noticed_by_whoever_opens_it(copy: Path, old: str, new: str) -> None:
    text = (copy / MANIFEST).read_text()
    assert old in text
    (copy / MANIFEST).write_text(text.replace(old, new, 1))
    for verify in (True, False):
        with pytest.raises(BundleError, match=r"manifest\.json was altered"):
            Bundle.open(copy, verify=verify)


@pytest.mark.parametrize(
    "removed", [{"checksum"}, {"checksum", "quality"}, {"checksum", "quality", "calibration"}]
)
def test_a_manifest_that_lost_its_checksum_was_altered(copy: Path, removed: set[str]) -> None:
    raw = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps({name: raw[name] for name in raw.keys() - removed}))
    with pytest.raises(BundleError, match=r"manifest\.json was altered"):
        Bundle.open(copy)


def test_the_layout_of_the_file_is_not_part_of_its_checksum(copy: Path) -> None:
    raw = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps(dict(reversed(raw.items()))))
    assert Bundle.open(copy).manifest.part == "bracket"


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "inspector.onnx").unlink()
    with pytest.raises(BundleError, match=r"inspector\.onnx is missing"):
        Bundle.open(copy)


def test_a_folder_without_a_manifest_is_no_complete_bundle(copy: Path) -> None:
    (copy / MANIFEST).unlink()
    with pytest.raises(BundleError, match="not a complete bundle"):
        Bundle.open(copy)


def test_a_folder_of_bundles_is_no_bundle_and_they_are_named(tmp_path: Path) -> None:
    for day in range(1, 8):
        make_tiny_bundle(tmp_path, version=f"2026010{day}-000000", size=(32, 32))
    with pytest.raises(BundleError) as caught:
        Bundle.open(tmp_path / "bracket")
    assert "20260107-000000, 20260106-000000" in caught.value.problem
    assert "and 2 more" in caught.value.problem
    assert str(tmp_path / "bracket" / "20260107-000000") in caught.value.remedy
    with pytest.raises(BundleError, match="bracket/20260107-000000"):
        Bundle.open(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\xff", "[" * 100_000, '{"schema_version": 1}'])
def test_a_manifest_that_cannot_be_read_is_refused(copy: Path, text: str) -> None:
    (copy / MANIFEST).write_bytes(text.encode("latin-1"))
    with pytest.raises(BundleError, match="manifest"):
        Bundle.open(copy)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_schema_version_is_refused_with_what_to_do(copy: Path, version: object) -> None:
    rewrite(copy, lambda raw: raw.update(schema_version=version))
    with pytest.raises(BundleError, match="schema version") as caught:
        Bundle.open(copy)
    assert "Install" in caught.value.remedy


@pytest.mark.parametrize("name", ["../outside.bin", "/etc/hostname", "golden/../../outside.bin", ""])
def test_files_outside_the_bundle_are_refused(copy: Path, name: str) -> None:
    (copy.parent / "outside.bin").write_bytes(b"secret")
    rewrite(copy, lambda raw: raw["files"].update({name: "0" * 64}))
    with pytest.raises(BundleError):
        Bundle.open(copy)
    if name:
        with pytest.raises(BundleError, match="outside the bundle"):
            Bundle.open(copy, verify=False).file(name)


def test_symbolic_links_out_of_the_bundle_are_refused(copy: Path) -> None:
    outside = copy.parent / "inspector.onnx"
    (copy / "inspector.onnx").rename(outside)
    (copy / "inspector.onnx").symlink_to(outside)
    with pytest.raises(BundleError, match="outside the bundle"):
        Bundle.open(copy)


def test_a_bundle_that_is_reached_through_a_symbolic_link_opens(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(tiny_bundle)
    assert Bundle.open(tmp_path / "current").manifest.part == "bracket"


def test_a_file_the_manifest_does_not_list_is_not_handed_out(copy: Path) -> None:
    (copy / "extra.onnx").write_bytes(b"put here by someone")
    with pytest.raises(BundleError, match=r"extra\.onnx"):
        Bundle.open(copy).file("extra.onnx")


@pytest.mark.parametrize("name", [GOLDEN_RESULTS, SPLITS])
@pytest.mark.parametrize("text", ["", "{}x", "5", '[{"file": 1}]'])
def test_records_that_cannot_be_read_are_a_bundle_error(copy: Path, name: str, text: str) -> None:
    (copy / name).write_text(text)
    bundle = Bundle.open(copy, verify=False)
    with pytest.raises(BundleError, match=Path(name).name):
        bundle.golden_results() if name == GOLDEN_RESULTS else bundle.splits()


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ["scratched", "clean"]},
        {"classes": ["clean", "bent", "bent"]},
        {"classes": ["clean", "anomalous"]},
        {"classes": ["clean", "invalid"]},
        {"classes": []},
        {"part": "../bracket"},
        {"version": ""},
        {"variants": {}},
        {"variants": {"fp32": {"file": "elsewhere.onnx", "precision": "fp32"}}},
        {"limits": {"anomaly": -1.0}},
        {"heatmap": {"start": 3.0, "limit": 2.0, "top": 6.0}},
        {"colour_order": "BGR"},
        {"surprise": 1},
    ],
    ids=lambda change: "-".join(change),
)
def test_a_manifest_that_contradicts_itself_is_refused(copy: Path, change: dict[str, Any]) -> None:
    rewrite(copy, lambda raw: raw.update(change))
    with pytest.raises(BundleError, match="not valid"):
        Bundle.open(copy)


def test_the_heatmap_scale_rises_and_is_finite() -> None:
    assert HeatmapScale(start=1.0, limit=1.0, top=1.0)
    for start, limit, top in [(2.0, 1.0, 3.0), (0.0, 2.0, 1.0), (0.0, 1.0, float("inf")), (0.0, 0.0, 1.0)]:
        with pytest.raises(ValidationError):
            HeatmapScale(start=start, limit=limit, top=top)


def test_a_manifest_survives_being_written_and_read(tiny_bundle: Path, tmp_path: Path) -> None:
    manifest = Bundle.open(tiny_bundle).manifest
    assert write_manifest(tmp_path, manifest) == manifest
    assert Manifest.model_validate_json((tmp_path / MANIFEST).read_text()) == manifest
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST]


def test_a_manifest_whose_writing_fails_leaves_nothing_behind(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_manifest(tmp_path, Bundle.open(tiny_bundle).manifest)
    assert list(tmp_path.iterdir()) == []


def test_bundles_are_found_from_the_root_a_part_or_a_bundle(tiny_bundles: Path, tiny_bundle: Path) -> None:
    for start in (tiny_bundles, tiny_bundles / "bracket", tiny_bundle):
        assert find_bundles(start) == {"bracket": tiny_bundle}


def test_the_newest_version_of_each_part_is_found(tmp_path: Path) -> None:
    for version in ("20260102-000000", "20251231-235959", "20260101-000000"):
        make_tiny_bundle(tmp_path, version=version, size=(32, 32))
    lid = make_tiny_bundle(tmp_path, part="lid", size=(32, 32))
    assert find_bundles(tmp_path) == {"bracket": tmp_path / "bracket" / "20260102-000000", "lid": lid}


def test_an_old_bundle_that_cannot_be_read_is_passed_over_and_a_new_one_is_not(tmp_path: Path) -> None:
    newest = make_tiny_bundle(tmp_path, version="20260102-000000", size=(32, 32))
    old = make_tiny_bundle(tmp_path, version="20260101-000000", size=(32, 32))
    rewrite(old, lambda raw: raw.update(schema_version=0))
    assert find_bundles(tmp_path) == {"bracket": newest}
    rewrite(newest, lambda raw: raw.update(schema_version=0))
    with pytest.raises(BundleError, match="20260102-000000"):
        find_bundles(tmp_path)


def test_bundles_that_are_being_written_are_not_found(copy: Path) -> None:
    newer = copy.parent / "29990101-000000"
    shutil.copytree(copy, newer)
    (newer / MANIFEST).rename(newer / f".{MANIFEST}.partial")
    shutil.copytree(copy, copy.parent / ".29990102-000000")
    assert find_bundles(copy.parent.parent) == {"bracket": copy}


@pytest.mark.parametrize("place", [".staging/20260101-000000", "bracket/.20260101-000000"])
def test_hidden_folders_hold_no_bundles(tiny_bundle: Path, tmp_path: Path, place: str) -> None:
    shutil.copytree(tiny_bundle, tmp_path / place)
    with pytest.raises(BundleError, match="no complete bundle"):
        find_bundles(tmp_path)


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_folder_without_bundles_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="no complete bundle") as caught:
        find_bundles(tmp_path / name)
    assert "glint train" in caught.value.remedy


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def as_an_ordinary_user() -> Iterator[None]:
    """Root may read everything, so root becomes nobody for a while."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize(
    "unreadable", ["bracket", "bracket/20260102-000000", "bracket/20260102-000000/manifest.json"]
)
def test_a_part_that_cannot_be_read_is_named_and_does_not_hide_the_others(
    open_folder: Path, unreadable: str
) -> None:
    make_tiny_bundle(open_folder, version="20260101-000000", size=(32, 32))
    make_tiny_bundle(open_folder, version="20260102-000000", size=(32, 32))
    lid = make_tiny_bundle(open_folder, part="lid", size=(32, 32))
    (open_folder / unreadable).chmod(0)
    try:
        with as_an_ordinary_user():
            found = survey_bundles(open_folder)
            with pytest.raises(BundleError, match="cannot be read"):
                find_bundles(open_folder)
    finally:
        (open_folder / unreadable).chmod(0o700)
    assert found.paths == {"lid": lid}
    assert list(found.failures) == ["bracket"]
    assert str(open_folder / unreadable) in found.failures["bracket"].problem


def test_a_root_that_cannot_be_read_is_no_traceback(open_folder: Path) -> None:
    make_tiny_bundle(open_folder, size=(32, 32))
    open_folder.chmod(0)
    with as_an_ordinary_user():
        found = survey_bundles(open_folder)
    open_folder.chmod(0o755)
    assert found.paths == {}
    assert "cannot be read" in found.failures[open_folder.name].problem
