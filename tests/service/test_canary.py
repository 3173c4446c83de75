"""The canary: golden photos through the worker, and what their failure means for the part."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from models.inspector import Inspector, Outputs
from service.archive.entries import Entry, Recorded
from service.batching import Batcher
from service.registry import Registry
from tests.service.conftest import StartClient
from tests.tiny_bundle import Pixels, clean_photo, encode

GOOD = encode(clean_photo(), ".jpg")
JPEG = {"content-type": "image/jpeg"}


class Spoilt:
    """Stands before the session of a loaded inspector, and changes or refuses what comes out of it."""

    def __init__(self, session: object) -> None:
        self.session = session
        self.change: Callable[[list[Pixels]], list[Pixels]] = lambda outputs: outputs
        self.runs = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.session, name)

    def run(self, names: list[str], feed: dict[str, Pixels]) -> list[Pixels]:
        self.runs += 1
        return self.change(self.session.run(names, feed))


def spoil(registry: Registry) -> Spoilt:
    inspector = registry.loaded["bracket"].inspector
    inspector._session = Spoilt(inspector._session)
    return inspector._session


def refuse(_: list[Pixels]) -> list[Pixels]:
    raise RuntimeError("a fault of the kernel")


def weaken(outputs: list[Pixels]) -> list[Pixels]:
    probabilities, maps, scores = outputs
    return [probabilities, maps * 0.4, scores * 0.4]


def not_a_number(outputs: list[Pixels]) -> list[Pixels]:
    probabilities, maps, scores = outputs
    return [probabilities, maps, scores * float("nan")]


@pytest.mark.parametrize("fault", [refuse, weaken, not_a_number])
def test_a_part_whose_canary_fails_gives_no_verdict_until_it_passes(start: StartClient, fault) -> None:
    client = start()
    registry: Registry = client.app.state.registry
    session, canary = spoil(registry), registry.loaded["bracket"].canary
    assert client.post("/inspect?camera=cam3", content=GOOD, headers=JPEG).json()["verdict"] == "clean"
    session.change = fault
    canary.check()
    [shown] = client.app.state.station.alarms.status()["alarms"]["cam3"]
    assert shown["kind"] == "canary"
    readiness = client.get("/readyz")
    assert readiness.status_code == 503
    assert "the canary failed: " in readiness.json()["reasons"][0]
    session.change = lambda outputs: outputs
    # The model is right again, but nobody has seen it yet.
    runs = session.runs
    refused = client.post("/inspect", content=GOOD, headers=JPEG)
    assert (refused.status_code, refused.json()["code"]) == (503, "canary_failed")
    assert refused.json()["verdict"] == "invalid"
    assert session.runs == runs
    canary.check()
    assert client.get("/readyz").status_code == 200
    assert client.post("/inspect", content=GOOD, headers=JPEG).json()["verdict"] == "clean"


def test_a_photo_that_was_inside_when_the_canary_failed_gets_no_verdict(start: StartClient) -> None:
    client = start()
    registry: Registry = client.app.state.registry
    session, canary = spoil(registry), registry.loaded["bracket"].canary

    def fail_meanwhile(outputs: list[Pixels]) -> list[Pixels]:
        canary._failure = "golden/clean.png: scratched instead of clean"
        return outputs

    session.change = fail_meanwhile
    refused = client.post("/inspect", content=GOOD, headers=JPEG)
    assert (refused.status_code, refused.json()["code"]) == (503, "canary_failed")


def test_a_verdict_whose_canary_fails_while_it_is_recorded_is_taken_back(start: StartClient) -> None:
    client = start()
    canary = client.app.state.registry.loaded["bracket"].canary
    recorder = client.app.state.archive._recorder
    record = recorder.record

    def fail_meanwhile(entry: Entry, deadline: float) -> Recorded:
        done = record(entry, deadline)
        canary._failure = "golden/clean.png: scratched instead of clean"
        return done

    recorder.record = fail_meanwhile
    headers = {**JPEG, "idempotency-key": "k"}
    refused = client.post("/inspect", content=GOOD, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (503, "canary_failed")
    [row] = client.get("/inspections").json()["inspections"]
    assert (row["verdict"], row["score"]) == ("invalid", None)
    said = client.get(f"/inspections/{row['id']}").json()["answer"]
    assert said["verdict"] == "invalid"
    assert "scratched instead of clean" in said["review_reasons"][0]

    # Once it passes again, the repeated request is inspected anew.
    recorder.record = record
    canary._failure = ""
    again = client.post("/inspect", content=GOOD, headers=headers)
    assert (again.json()["verdict"], "idempotent-replay" in again.headers) == ("clean", False)


def test_a_verdict_is_taken_back_even_if_that_is_done_only_after_the_deadline(start: StartClient) -> None:
    client = start()
    canary = client.app.state.registry.loaded["bracket"].canary
    archive = client.app.state.archive
    record = archive._recorder.record
    gone = threading.Event()

    def fail_when_it_is_late(entry: Entry, deadline: float) -> Recorded:
        done = record(entry, deadline)
        canary._failure = "golden/clean.png: scratched instead of clean"
        # Nobody else may record or withdraw anything until the camera has its answer.
        for _ in range(archive._pool._max_workers):
            archive._pool.submit(gone.wait, 30.0)
        return done

    archive._recorder.record = fail_when_it_is_late
    headers = {**JPEG, "x-deadline-ms": "600"}
    refused = client.post("/inspect", content=GOOD, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (504, "deadline_missed")
    gone.set()
    wait_until(
        lambda: [row["verdict"] for row in client.get("/inspections").json()["inspections"]] == ["invalid"]
    )


def test_an_earlier_answer_is_not_repeated_if_the_canary_fails_while_it_is_looked_for(
    start: StartClient,
) -> None:
    client = start()
    canary = client.app.state.registry.loaded["bracket"].canary
    recorder = client.app.state.archive._recorder
    find = recorder.find_repeated
    headers = {**JPEG, "idempotency-key": "k"}
    assert client.post("/inspect", content=GOOD, headers=headers).status_code == 200

    def fail_meanwhile(part: str, request_key: str, sha256: str) -> Recorded | None:
        canary._failure = "golden/clean.png: scratched instead of clean"
        return find(part, request_key, sha256)

    recorder.find_repeated = fail_meanwhile
    refused = client.post("/inspect", content=GOOD, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (503, "canary_failed")
    [row] = client.get("/inspections").json()["inspections"]
    assert row["verdict"] == "clean"


def test_it_runs_on_a_timer_and_heals_by_itself(start: StartClient) -> None:
    client = start(canary_seconds=0.05)
    session = spoil(client.app.state.registry)
    session.change = weaken
    wait_until(lambda: client.get("/readyz").status_code == 503)
    session.change = lambda outputs: outputs
    wait_until(lambda: client.get("/readyz").status_code == 200)


def test_a_round_is_a_good_and_a_defective_photo_one_by_one(start: StartClient) -> None:
    registry: Registry = start().app.state.registry
    session = spoil(registry)
    registry.loaded["bracket"].canary.check()
    assert session.runs == 2


def test_a_busy_or_ending_service_is_no_fault_of_the_model(start: StartClient) -> None:
    registry: Registry = start(stall_seconds=0.05).app.state.registry
    part = registry.loaded["bracket"]
    part.batcher.submit(Stuck(), clean_photo((64, 64)), time.monotonic() + 5.0)
    part.canary.check()
    assert part.canary.failure == ""


class Stuck:
    """Takes its time."""

    def run(self, batch: Pixels) -> list[Outputs]:
        time.sleep(0.3)
        raise TimeoutError("too late")


def test_a_provider_that_changes_under_way_ends_the_worker(tiny_bundle: Path) -> None:
    inspector = Inspector.load(tiny_bundle, "cpu", threads=1)
    deaths: list[BaseException] = []
    batcher = Batcher("test", buckets=(1,), capacity=4, on_death=deaths.append)
    inspector.provider = "CUDAExecutionProvider"  # as if it had been opened there, and fallen back since
    future = batcher.submit(inspector, clean_photo((64, 64)), time.monotonic() + 5.0)
    assert future.exception(5.0) is not None
    batcher.close(5.0)
    assert "CUDAExecutionProvider was asked for, but the session runs on" in batcher.death
    assert len(deaths) == 1


def wait_until(condition: Callable[[], bool]) -> None:
    last = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < last
        time.sleep(0.02)
