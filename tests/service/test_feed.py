"""What the boards are told: everything once, in order, and never more than they can take."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from service.station.entries import entry_of_inspection
from service.station.feed import _QUEUE, MOST_BOARDS, Feed
from service.station.stream import board_events
from tests.service.told import answered, seen


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
