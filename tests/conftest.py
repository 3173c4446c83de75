"""Fixtures that tests of models, training and service share."""

from pathlib import Path

import pytest

from tests.tiny_bundle import make_tiny_bundle


@pytest.fixture(scope="session")
def tiny_bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundles folder with one part, `bracket`. Shared by all tests: read it, never change it."""
    folder = tmp_path_factory.mktemp("bundles")
    make_tiny_bundle(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_bundle(tiny_bundles: Path) -> Path:
    """The one bundle in `tiny_bundles`. Shared by all tests: read it, never change it."""
    return next((tiny_bundles / "bracket").iterdir())
