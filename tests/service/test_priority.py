"""What computes gives way to what answers."""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.priority import give_way, giving_way
from tests.tiny_bundle import clean_photo, encode

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")


def niceness(native_id: int | None = None) -> int:
    return os.getpriority(os.PRIO_PROCESS, native_id or threading.get_native_id())


def of_thread(function: Callable[[], None]) -> int:
    found: list[int] = []

    def work() -> None:
        function()
        found.append(niceness())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found[0]


def test_a_thread_gives_way_once_and_so_do_those_that_it_starts() -> None:
    main = niceness(os.getpid())
    inherited: list[int] = []

    def twice() -> None:
        give_way()
        give_way()
        inherited.append(of_thread(lambda: None))

    assert of_thread(twice) == main + 5
    assert inherited == [main + 5]


def test_the_caller_of_what_gives_way_keeps_its_priority() -> None:
    before = niceness()
    assert giving_way(niceness) == niceness(os.getpid()) + 5
    assert niceness() == before


def test_a_fault_of_what_gives_way_is_the_callers() -> None:
    def fail() -> None:
        raise ValueError("as it is")

    with pytest.raises(ValueError, match="as it is"):
        giving_way(fail)


def test_all_threads_of_the_service_that_compute_give_way(client: TestClient) -> None:
    main = niceness(os.getpid())
    photo = encode(clean_photo())
    assert client.post("/inspect", content=photo, headers={"content-type": "image/png"}).status_code == 200
    computing = [t for t in threading.enumerate() if t.name.startswith(("glint-worker", "glint-photo"))]
    assert {t.name.split("-")[1].split("_")[0] for t in computing} == {"worker", "photo"}
    assert {niceness(t.native_id) for t in computing} == {main + 5}


def test_the_sessions_own_threads_give_way(tiny_bundle: Path) -> None:
    from models.inspector import Inspector

    def threads() -> set[int]:
        return {int(task.name) for task in Path("/proc/self/task").iterdir()}

    before = threads()
    inspector = giving_way(lambda: Inspector.load(tiny_bundle, "cpu", 3))
    own = threads() - before
    assert len(own) >= 2, "the session has no threads of its own"
    assert {niceness(thread) for thread in own} == {niceness(os.getpid()) + 5}
    assert inspector.provider == "CPUExecutionProvider"
