"""Fixtures that tests of models, training and service share."""

from pathlib import Path

import pytest

from tests.tiny_bundle import make_tiny_bundle


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files whose tests take long: no process is then left alone with them at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


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
