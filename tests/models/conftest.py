"""A bundle that may be spoilt, and settings of the property tests of models."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from models.bundle import MANIFEST
from models.manifest import checksum_of

# The same examples on every run, and no clock: a busy machine must not turn a right answer into a failure.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


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
