"""What keeps the service from starting is said at once, and leaves nothing behind."""

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.access.errors import ExposureError, KeysError
from service.errors import SettingsError
from service.registry import Registry
from service.server import GONE_SECONDS, listen, serve
from service.settings import Settings


@pytest.fixture
def given(tiny_bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Settings of a service whose loading takes long: it must not come to that."""

    def fail(_: Registry) -> None:
        raise AssertionError("the bundles were loaded first")

    monkeypatch.setattr(Registry, "load", fail)
    return {"bundles": tiny_bundles, "device": "cuda", "archive": str(tmp_path / "archive")}


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_port_that_is_taken(given: dict[str, Any], taken: int, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"port {taken}: Address already in use"):
        serve(Settings.of(**given, port=taken))
    with pytest.raises(SettingsError, match="--management-port"):
        serve(Settings.of(**given, port=0, management_port=taken))
    assert not (tmp_path / "archive").exists()


def test_an_address_that_would_be_open_to_all(given: dict[str, Any]) -> None:
    with pytest.raises(ExposureError):
        serve(Settings.of(**given, host="0.0.0.0", port=0))  # noqa: S104


def test_keys_that_are_not_there(given: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(KeysError):
        serve(Settings.of(**given, keys=tmp_path / "keys.json", port=0))


def test_answers_are_sent_without_delay_and_a_client_that_is_gone_is_let_go(given: dict[str, Any]) -> None:
    async def options_of_a_connection(bound: socket.socket) -> list[int]:
        connected: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()
        server = await asyncio.start_server(lambda _, writer: connected.set_result(writer), sock=bound)
        _, client = await asyncio.open_connection(*bound.getsockname())
        writer = await connected
        accepted = writer.get_extra_info("socket")
        asked = (socket.TCP_NODELAY, socket.TCP_USER_TIMEOUT)
        found = [accepted.getsockopt(socket.IPPROTO_TCP, option) for option in asked]
        for each in (client, writer):
            each.close()
        server.close()
        await server.wait_closed()
        return found

    with contextlib.ExitStack() as opened:
        for bound in listen(Settings.of(**given, port=0)):
            opened.enter_context(bound)
            assert asyncio.run(options_of_a_connection(bound)) == [1, 1000 * GONE_SECONDS]


STOPPED_EARLY = """
import signal, sys
from pathlib import Path
import uvicorn
from service.server import serve
from service.settings import Settings

run = uvicorn.Server.run

def run_when_stopped(server, *args, **kwargs):
    signal.raise_signal(int(sys.argv[2]))
    run(server, *args, **kwargs)

uvicorn.Server.run = run_when_stopped
serve(Settings.of(bundles=Path(sys.argv[1]), device="cpu", port=0, archive="none"))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_right_at_the_start_is_not_lost(tiny_bundles: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", STOPPED_EARLY, str(tiny_bundles), str(int(number))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
