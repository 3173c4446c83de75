"""The bundle on disk: complete and unaltered, or refused with the file's name."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from models.bundle import GOLDEN_RESULTS, MANIFEST, SPLITS, Bundle, write_manifest
from models.errors import BundleError
from models.manifest import HeatmapScale, Manifest
from tests.models.conftest import rewrite


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
