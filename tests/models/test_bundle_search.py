"""Finding bundles: from the root, a part or a bundle, and whatever stands in the way."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from models.bundle import MANIFEST, Bundle, find_bundles, survey_bundles
from models.errors import BundleError
from tests.models.conftest import rewrite
from tests.tiny_bundle import make_tiny_bundle


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
