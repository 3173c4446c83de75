"""Who put which bundle in place, and when: written down for ever, or not done."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from service.access.commands import add_key
from service.activations.book import Book, InMemory, serving_since, version_before
from service.activations.entries import ANYBODY, START, Activation, Actor
from service.activations.opening import open_book
from service.app import create_app, end_process
from service.archive.activations import InDatabase
from service.archive.archive import Archive
from service.archive.errors import ArchiveUnavailableError
from service.registry import Registry
from service.settings import Settings
from tests.service.conftest import StartClient
from tests.service.shadow_cases import NEW, OLD, judge, two_bundles, wait_for

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    return two_bundles(tmp_path / "bundles")


def activate(client: TestClient, version: str, **headers: str) -> int:
    return client.post("/parts/bracket/activate", json={"version": version}, headers=headers).status_code


def history(client: TestClient, **headers: str) -> list[tuple[str, str | None, str]]:
    answer = client.get("/parts/bracket/history", headers=headers)
    assert answer.status_code == 200, answer.text
    return [(each["version"], each["previous"], each["by"]) for each in answer.json()]


@pytest.mark.parametrize("kept", ["archive", "state", "memory"])
def test_starts_and_activations_are_written_down_the_newest_first(
    start: StartClient, bundles: Path, tmp_path: Path, kept: str
) -> None:
    place = {"archive": str(tmp_path / "archive") if kept == "archive" else "none"}
    if kept != "memory":
        place["state"] = str(tmp_path / "state")
    client = start(bundles=bundles, **place)
    assert activate(client, OLD) == 200
    first = [(OLD, NEW, "anybody"), (NEW, None, "start")]
    assert history(client) == first
    again = start(bundles=bundles, **place)
    assert history(again) == ([(NEW, None, "start")] if kept == "memory" else [(OLD, OLD, "start"), *first])


def test_a_key_is_written_down_by_name_and_id(start: StartClient, bundles: Path, tmp_path: Path) -> None:
    key, key_id = add_key(tmp_path / "keys.json", "Ada", "admin")
    client = start(bundles=bundles, keys=tmp_path / "keys.json", open_health=True)
    assert activate(client, OLD, authorization=f"Bearer {key}") == 200
    entry = client.get("/parts/bracket/history", headers={"authorization": f"Bearer {key}"}).json()[0]
    assert (entry["by"], entry["key_id"]) == ("Ada", key_id)
    assert (datetime.now(UTC) - datetime.fromisoformat(entry["time"])).total_seconds() < 60


def test_the_database_refuses_to_change_or_remove_an_entry(start: StartClient, bundles: Path) -> None:
    client = start(bundles=bundles)
    database = client.app.state.archive.holdings.database
    for order in ("UPDATE activations SET by_name = 'nobody'", "DELETE FROM activations"):
        with (
            pytest.raises(DBAPIError, match="never changed or removed"),
            database.engine.begin() as connection,
        ):
            connection.execute(text(order))
    assert history(client) == [(NEW, None, "start")]


@pytest.mark.parametrize("chosen_before", [True, False])
def test_what_cannot_be_written_down_is_not_done(
    start: StartClient, bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen_before: bool
) -> None:
    client = start(bundles=bundles, state=tmp_path / "state")
    if chosen_before:
        assert activate(client, NEW) == 200
    before = history(client)

    def refuse(_: Activation) -> None:
        raise ArchiveUnavailableError("the disk is full")

    monkeypatch.setattr(client.app.state.registry.book._shelf, "add", refuse)
    response = client.post("/parts/bracket/activate", json={"version": OLD})
    assert (response.status_code, response.json()["code"]) == (409, "activation_failed")
    assert "the disk is full" in response.json()["detail"]
    assert judge(client)["bundle_version"] == NEW
    assert json.loads((tmp_path / "state" / "active.json").read_text()) == (
        {"bracket": NEW} if chosen_before else {}
    )
    monkeypatch.undo()
    assert history(client) == before


def test_a_damaged_history_file_is_named_and_left_alone(
    start: StartClient, bundles: Path, tmp_path: Path
) -> None:
    file = tmp_path / "activations.json"
    file.write_text('[{"part"')
    client = start(bundles=bundles, state=tmp_path, archive="none")
    assert client.get("/readyz").status_code == 200  # photos are inspected all the same
    response = client.post("/parts/bracket/activate", json={"version": OLD})
    assert "activations.json cannot be read" in response.json()["detail"]
    assert file.read_text() == '[{"part"'
    assert judge(client)["bundle_version"] == NEW


def test_a_start_that_could_not_be_written_down_is_not_forgotten() -> None:
    class Failing(InMemory):
        broken = True

        def add(self, activation: Activation) -> None:
            if self.broken:
                raise OSError("the disk is full")
            super().add(activation)

    shelf = Failing()
    book = Book(shelf)
    book.started("bracket", OLD)
    with pytest.raises(OSError, match="disk is full"):
        book.activated("bracket", NEW, OLD, ANYBODY)
    shelf.broken = False
    book.activated("bracket", NEW, OLD, ANYBODY)
    assert [(each.version, each.by) for each in book.of("bracket", 9)] == [(NEW, ANYBODY), (OLD, START)]


def test_the_history_is_asked_for_by_a_part_that_there_is(start: StartClient, bundles: Path) -> None:
    client = start(bundles=bundles)
    assert client.get("/parts/lid/history").json()["code"] == "unknown_part"
    assert client.get("/parts/bracket/history?limit=0").json()["code"] == "bad_field"
    activate(client, OLD)
    assert len(client.get("/parts/bracket/history?limit=1").json()) == 1


@pytest.mark.parametrize(
    ("said", "active", "before"),
    [
        ([], "b", None),
        ([("a", None)], "a", None),
        ([("b", "a"), ("a", None)], "b", "a"),
        ([("b", "b"), ("b", "a")], "b", "a"),  # restarted since
        ([("a", "b"), ("b", "a"), ("a", None)], "a", "b"),  # rolled back
        ([("b", "a")], "b", "a"),  # the older entries are not looked at
        ([("a", None)], None, "a"),  # what served before cannot be loaded any more
    ],
)
def test_a_roll_back_leads_to_what_served_before(
    said: list[tuple[str, str | None]], active: str | None, before: str | None
) -> None:
    past = [Activation("bracket", version, previous, Actor("Ada"), NOW) for version, previous in said]
    assert version_before(past, active) == before


def test_a_restart_does_not_count_as_a_beginning() -> None:
    said = [("b", "b"), ("b", "a"), ("b", None)]
    past = [
        Activation("bracket", version, previous, START, NOW + timedelta(hours=3 - number))
        for number, (version, previous) in enumerate(said)
    ]
    assert serving_since(past, "b") == NOW + timedelta(hours=2)
    assert serving_since(past[:1], "b") == NOW + timedelta(hours=3)
    assert serving_since(past, "a") is None


def test_a_history_that_cannot_be_written_can_still_be_read(
    start: StartClient, bundles: Path, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file, where a folder should be")
    client = start(bundles=bundles, state=tmp_path / "state", archive="none")
    assert history(client) == []


def test_what_serves_before_the_archive_is_open_is_written_down_later(tmp_path: Path) -> None:
    settings = Settings.of(archive=str(tmp_path / "archive"), archive_free_bytes=0)
    archive = Archive(settings)
    book = open_book(settings, archive)
    book.started("bracket", OLD)  # as on a GPU, which is proved first
    assert not (tmp_path / "archive").exists()
    archive.start()
    assert [each.version for each in book.of("bracket", 9)] == [OLD]
    archive.close()


def test_that_is_done_without_anybody_looking(tiny_bundles: Path, tmp_path: Path) -> None:
    settings = Settings.of(
        bundles=tiny_bundles, device="cpu", threads=1, archive=str(tmp_path / "archive"), archive_free_bytes=0
    )
    archive = Archive(settings)
    registry = Registry(settings, end_process, open_book(settings, archive))
    registry.load()
    assert not (tmp_path / "archive").exists()
    shelf = InDatabase(archive)
    with TestClient(create_app(settings, registry=registry, archive=archive)):
        wait_for(lambda: shelf.newest("bracket", 9) != [], "the entry")
        assert [each.version for each in shelf.newest("bracket", 9)] == [OLD]
