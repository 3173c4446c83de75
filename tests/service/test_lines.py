"""What the boards know of each line, and what is kept of its parts."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from models.quality import Reading
from service.archive.records import record_of
from service.errors import CanaryFailedError
from service.station.cameras import WINDOW
from service.station.entries import entry_of_inspection, entry_of_record
from service.station.feed import Feed
from service.station.recent import MOST_ENTRIES, Recent
from tests.service.told import answered, seen


@pytest.mark.parametrize(
    ("code", "full"), [("queue_full", True), ("queue_too_long", True), ("truncated", False)]
)
def test_a_line_is_full_whichever_way_its_photos_are_refused(feed: Feed, code: str, full: bool) -> None:
    feed.seen(seen(1))
    feed.answered(answered(2, code))
    assert feed.cameras.was_full("cam1") == full


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
