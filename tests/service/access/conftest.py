"""Keys of each role, and services that ask for them."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.access.commands import add_key
from service.access.keys import ROLES, Role
from tests.service.conftest import StartClient


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def keys(file: Path) -> dict[Role, str]:
    """A key of each role."""
    return {role: add_key(file, role, role)[0] for role in ROLES}


@pytest.fixture
def guarded(start: StartClient, file: Path, keys: dict[Role, str], tmp_path: Path) -> TestClient:
    return start(keys=file, open_health=True, state=tmp_path / "state")


@pytest.fixture
def browser(guarded: TestClient) -> TestClient:
    """The guarded service, seen by what does not follow redirects by itself."""
    guarded.follow_redirects = False
    return guarded
