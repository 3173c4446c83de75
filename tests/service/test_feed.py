"""What the boards are told: everything once, in order, and never more than they can take."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from models.answer import AnomalyOpinion, ClassifierOpinion, ImageFacts, Inspection
from models.quality import Reading
from service.archive.records import record_of
from service.errors import CanaryFailedError
from service.orders import Seen
from service.station.cameras import WINDOW, Cameras
from service.station.entries import entry_of_inspection, entry_of_record
from service.station.feed import _QUEUE, MOST_BOARDS, Feed
from service.station.recent import MOST_ENTRIES, Recent
from service.station.stream import board_events
from service.telemetry.names import BoundedNames
from service.telemetry.record import RequestRecord

PHOTO = b"photo" * 20


def seen(number: int, verdict: str = "clean", camera: str | None = "cam1", photo: bytes = PHOTO) -> Seen:
    """The inspection with this number."""
    inspection = Inspection(
        id=f"{number:032x}",
        verdict=verdict,
        score=None if verdict == "invalid" else 0.2,
        needs_review=False,
        review_reasons=[],
        rules=[],
        classifier=ClassifierOpinion(probabilities={}, defect_probability=None, limit=None),
        anomaly=AnomalyOpinion(score=1.0, limit=3.0),
        regions=[],
        part="bracket",
        serial=f"A{number}",
        camera=camera,
        bundle_version="1",
        provider="CPUExecutionProvider",
        image=ImageFacts(
            width=8, height=8, sha256="0" * 64, media_type="image/jpeg", bit_depth=8, letterboxed=False
        ),
        timings_ms={},
    )
    return Seen(inspection, photo, b"overlay", "jpeg")


def answered(number: int, code: str, verdict: str = "invalid", camera: str | None = "cam1") -> RequestRecord:
    """The answer to the request with this number."""
    return RequestRecord(
        id=f"{number:032x}",
        method="POST",
        route="/inspect",
        status=503 if code else 200,
        code=code,
        verdict=verdict,
        part="bracket",
        camera=camera,
        seconds=0.1,
        ended=1.7e9,
        key_id="",
        traceparent="",
        inspection=None,
        serial=f"A{number}",
    )


@pytest.fixture
def feed() -> Feed:
    return Feed(Cameras(BoundedNames(3)), keeps_photos=True)


def events_in(data: bytes) -> list[tuple[str, Any]]:
    """Name and value of each server-sent event."""
    found = []
    for block in data.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        if "event" in lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def listen(
    feed: Feed, act: Callable[[], None], *, may_look: Callable[[], bool] = lambda: True
) -> list[tuple[str, Any]]:
    """What a board hears that is open while `act` runs; the service ends after it."""

    async def run() -> bytes:
        heard = []
        stream = board_events(feed, lambda: {"ready": True}, {"assets": "1"}, may_look)
        heard.append(await anext(stream))
        heard.append(await anext(stream))
        act()
        heard.append(await anext(stream))
        feed.close()
        heard += [each async for each in stream]
        return b"".join(heard)

    return events_in(asyncio.run(run()))


def test_a_board_begins_with_what_is_there_and_hears_the_rest(feed: Feed) -> None:
    feed.seen(seen(1))
    (first, snapshot), *rest = listen(feed, lambda: [feed.seen(seen(n, "scratched")) for n in (2, 3)])
    assert first == "snapshot"
    assert [entry["serial"] for entry in snapshot["entries"]] == ["A1"]
    assert (snapshot["status"], snapshot["assets"]) == ({"ready": True}, "1")
    assert [(name, value["entry"]["serial"]) for name, value in rest] == [
        ("inspection", "A2"),
        ("inspection", "A3"),
    ]
    assert rest[-1][1]["entry"]["kind"] == "defect"
    assert rest[-1][1]["camera"] | {"last": None} == {
        "name": "cam1",
        "judged": 3,
        "rejected": 2,
        "invalid": 0,
        "last": None,
    }


def test_a_board_that_falls_behind_gets_a_snapshot_instead(feed: Feed) -> None:
    most = _QUEUE + 50
    events = listen(feed, lambda: [feed.seen(seen(n)) for n in range(most)])
    assert [name for name, _ in events] == ["snapshot", "snapshot"]
    assert events[1][1]["entries"][0]["serial"] == f"A{most - 1}"


def test_a_slow_board_keeps_no_other_waiting_and_no_more_than_its_queue(feed: Feed) -> None:
    async def run() -> None:
        with feed.subscribe() as slow, feed.subscribe() as quick:
            assert slow is not None
            assert quick is not None
            for number in range(3 * _QUEUE):
                feed.seen(seen(number))
                assert f"A{number}".encode() in await quick.wait(1.0)
            assert (slow.behind, quick.behind) == (True, False)
            assert len(events_in(slow.drain())) == _QUEUE

    asyncio.run(run())


def test_only_so_many_boards_are_served(feed: Feed) -> None:
    opened = [feed.subscribe() for _ in range(MOST_BOARDS)]
    assert all(each.__enter__() is not None for each in opened)

    async def one_more() -> bytes:
        return b"".join([each async for each in board_events(feed, dict, {}, lambda: True)])

    assert events_in(asyncio.run(one_more())) == [("full", {})]
    for each in opened:
        each.__exit__(None, None, None)
    with feed.subscribe() as again:
        assert again is not None


def test_a_board_ends_with_its_session(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.station.stream.BEAT_SECONDS", 0.01)

    async def run() -> int:
        asked = iter([True, True, False])
        stream = board_events(feed, dict, {}, lambda: next(asked))
        return sum([1 async for _ in stream])

    assert asyncio.run(run()) == 4  # the retry time, the snapshot, and two beats


def test_a_board_that_comes_while_the_service_ends_is_let_go(feed: Feed) -> None:
    feed.close()

    async def run() -> bytes:
        return b"".join([each async for each in board_events(feed, dict, {}, lambda: True)])

    assert [name for name, _ in events_in(asyncio.run(run()))] == ["snapshot"]


def test_a_photo_without_a_verdict_is_told_as_not_inspected(feed: Feed) -> None:
    feed.seen(seen(99))
    for code in ("queue_full", "unauthorized", "", "truncated"):
        feed.answered(answered(len(code), code))
    entries = feed.recent.entries[:-1]
    assert [(entry.kind, entry.code) for entry in entries] == [
        ("invalid", "truncated"),
        ("invalid", "left"),
        ("invalid", "queue_full"),
    ]
    assert not any(entry.has_picture for entry in entries)
    assert feed.cameras.was_full("cam1")
    assert feed.cameras.as_json("cam1")["invalid"] == 3


@pytest.mark.parametrize(
    ("code", "full"), [("queue_full", True), ("queue_too_long", True), ("truncated", False)]
)
def test_a_line_is_full_whichever_way_its_photos_are_refused(feed: Feed, code: str, full: bool) -> None:
    feed.seen(seen(1))
    feed.answered(answered(2, code))
    assert feed.cameras.was_full("cam1") == full


def test_nothing_is_told_twice(feed: Feed) -> None:
    feed.seen(seen(1))
    feed.answered(answered(1, "", verdict="clean"))
    feed.seen(seen(2, "invalid"))
    feed.answered(answered(2, "quality_gate"))
    feed.add_older([entry_of_inspection(seen(n).inspection) for n in (2, 1, 0)])
    assert [entry.serial for entry in feed.recent.entries] == ["A2", "A1", "A0"]
    assert feed.cameras.as_json("cam1")["judged"] == 2
    assert feed.cameras.as_json("cam1")["last"]["serial"] == "A2"


def test_a_verdict_that_was_taken_back_is_told_of_a_part_that_was_known_as_clean(feed: Feed) -> None:
    feed.add_older([entry_of_inspection(seen(n).inspection) for n in (2, 1)])
    [_, (name, told)] = listen(feed, lambda: feed.answered(answered(1, "canary_failed")))
    assert name == "inspection"
    assert (told["entry"]["kind"], told["entry"]["code"]) == ("invalid", "canary_failed")
    assert told["entry"]["has_picture"]
    assert [(entry.serial, entry.kind) for entry in feed.recent.entries] == [
        ("A1", "invalid"),
        ("A2", "clean"),
    ]
    numbers = feed.cameras.as_json("cam1")
    assert (numbers["judged"], numbers["invalid"]) == (1, 1)


def test_a_snapshot_says_of_each_part_which_line_it_counts_in(feed: Feed) -> None:
    for number in range(5):
        feed.seen(seen(number, camera=f"cam{number}"))
    feed.answered(answered(9, "truncated", camera=None))
    lines = [(entry["camera"], entry["line"]) for entry in feed.snapshot()["entries"]]
    assert lines[:3] == [("", ""), ("cam4", "other"), ("cam3", "other")]
    assert lines[3] == ("cam2", "cam2")


@pytest.mark.parametrize(
    ("code", "method", "raised"),
    [
        ("unauthorized", "POST", True),
        ("forbidden", "POST", True),
        ("forged", "POST", False),
        ("unauthorized", "GET", False),
    ],
)
def test_a_refused_key_is_an_alarm_and_no_part(
    feed: Feed, monkeypatch: pytest.MonkeyPatch, code: str, method: str, raised: bool
) -> None:
    assert not feed.cameras.was_key_refused
    feed.answered(replace(answered(1, code), method=method))
    assert feed.cameras.was_key_refused is raised
    assert (feed.recent.entries, feed.cameras.names()) == ([], [])
    monkeypatch.setattr("service.station.cameras.REFUSED_SECONDS", 0.0)
    assert not feed.cameras.was_key_refused


def test_the_entry_says_why_a_photo_was_not_judged() -> None:
    inspection = seen(1, "invalid").inspection
    assert entry_of_inspection(inspection).code == "untrustworthy_outputs"
    dark = Reading(name="brightness", value=0.0, low=0.1, high=0.9, ok=False)
    gated = inspection.model_copy(update={"quality": [dark]})
    assert entry_of_inspection(gated).code == "quality_gate"
    problem = CanaryFailedError("bracket", "it gave another score").problem
    taken_back = inspection.model_copy(update={"review_reasons": [problem]})
    for each, code in (
        (inspection, "untrustworthy_outputs"),
        (gated, "quality_gate"),
        (taken_back, "canary_failed"),
        (seen(1).inspection, ""),
    ):
        record = record_of(each, time=datetime.now(UTC), size=1, request_key=None)
        assert entry_of_record(record).code == code


def test_the_reject_rate_is_of_the_last_parts(feed: Feed) -> None:
    for number in range(WINDOW + 30):
        feed.seen(seen(number, "scratched" if number < 30 else "clean"))
    assert feed.cameras.as_json("cam1") | {"last": None} == {
        "name": "cam1",
        "judged": WINDOW,
        "rejected": 0,
        "invalid": 0,
        "last": None,
    }


def test_no_more_cameras_are_told_apart_than_elsewhere(feed: Feed) -> None:
    for number in range(6):
        feed.seen(seen(number, camera=f"cam{number}"))
    assert feed.cameras.names() == ["cam0", "cam1", "cam2", "other"]


def test_the_pictures_in_memory_have_a_bound() -> None:
    recent = Recent(keeps_photos=True, most_bytes=1000)
    for number in range(MOST_ENTRIES + 20):
        one = seen(number, photo=bytes(300))
        recent.keep(one)
        recent.add(entry_of_inspection(one.inspection))
    assert len(recent.entries) == MOST_ENTRIES
    kept = [entry.id for entry in recent.entries if recent.find(entry.id)]
    assert kept == [entry.id for entry in recent.entries[:3]]
    huge = seen(9999, photo=bytes(5000))
    recent.keep(huge)
    assert recent.find(huge.inspection.id) is None
    frugal = Recent(keeps_photos=False)
    for number in range(MOST_ENTRIES + 1):
        frugal.keep(seen(number))
    assert frugal.find(seen(0).inspection.id) is None
    last = frugal.find(seen(MOST_ENTRIES).inspection.id)
    assert last is not None
    assert last.photo is None
    assert last.overlay is not None
