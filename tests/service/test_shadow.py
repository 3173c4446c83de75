"""A candidate in the shadow judges what the active bundle has judged, and changes nothing."""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import delete

from service.archive import archive
from service.archive.tables import inspections, reviews
from service.shadow import run as shadow_run
from service.shadow.run import Counts
from service.shadow.shadows import Shadows
from tests.service.conftest import StartClient
from tests.service.forging import forge
from tests.service.shadow_cases import (
    GOOD,
    JPEG,
    LENIENT,
    NEW,
    ODD,
    OLD,
    SCRATCHED,
    Busy,
    judge,
    shadow_of,
    two_bundles,
    wait_for,
)
from tests.tiny_bundle import encode, make_tiny_bundle, poisonous_photo

GONE = "20250101-000000"


@pytest.fixture(autouse=True)
def write_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdicts need not wait a second for others."""
    monkeypatch.setattr(shadow_run, "_SECONDS_BETWEEN_WRITES", 0.05)


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    return two_bundles(tmp_path / "bundles")


def ask_for(client: TestClient, version: str, part: str = "bracket") -> tuple[int, str, str]:
    """Ask for a shadow run: status, code and detail of the answer."""
    response = client.post(f"/parts/{part}/shadow", json={"version": version})
    answer = response.json()
    return response.status_code, answer.get("code", ""), answer.get("detail", "")


def begin(client: TestClient, version: str = OLD) -> None:
    assert ask_for(client, version) == (200, "", "")
    found = shadow_of(client)
    assert (found["version"], found["state"]) == (version, "running")


def judged(client: TestClient, count: int) -> None:
    """Wait until the comparison holds so many photos."""
    wait_for(lambda: shadow_of(client)["comparison"]["judged"] >= count, "the candidate's verdicts")


def counters(client: TestClient) -> dict[str, float]:
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {s.name: s.value for f in families for s in f.samples if s.name.startswith("glint_shadow")}


def test_a_candidate_judges_the_same_photos_and_its_flips_are_counted(
    start: StartClient, bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = start(bundles=bundles)
    begin(client)
    answers = [judge(client, photo) for photo in (ODD, GOOD, SCRATCHED)]
    assert [answer["verdict"] for answer in answers] == ["clean", "clean", "scratched"]
    assert {answer["bundle_version"] for answer in answers} == {NEW}
    judged(client, 3)
    found = shadow_of(client)
    assert (found["active_version"], found["state"]) == (NEW, "running")
    assert (found["dropped"], found["faults"]) == (0, 0)
    compared = found["comparison"]
    assert compared["flips"] == [{"active": "clean", "candidate": "defect", "count": 1}]
    rates = [compared[name] for name in ("agreement", "active_reject_rate", "candidate_reject_rate")]
    assert rates == pytest.approx([2 / 3, 1 / 3, 2 / 3])
    [flip] = client.app.state.shadows.ledger.flips("bracket", OLD, NEW, 9)
    assert (flip.inspection_id, flip.active_verdict, flip.verdict) == (answers[0]["id"], "clean", "anomalous")
    assert counters(client) == {
        "glint_shadow_judged_total": 3,
        "glint_shadow_flipped_total": 1,
        "glint_shadow_dropped_total": 0,
        "glint_shadow_faults_total": 0,
        "glint_shadow_running": 1,
    }
    # Its verdict goes with the inspection.
    with client.app.state.archive.holdings.database.writing() as connection:
        for column in (reviews.c.inspection_id, inspections.c.id):
            connection.execute(delete(column.table).where(column == flip.inspection_id))
    assert shadow_of(client)["comparison"]["flips"] == []
    shadows: Shadows = client.app.state.shadows
    run, meanwhile = shadows._runs["bracket"], []
    close = run.close

    def close_and_look() -> None:
        close()
        meanwhile.append(shadows.counts())

    monkeypatch.setattr(run, "close", close_and_look)
    assert client.delete("/parts/bracket/shadow").status_code == 204
    assert meanwhile == [{"bracket": Counts(judged=3, flipped=1)}]
    assert shadow_of(client)["code"] == "no_shadow"
    assert counters(client)["glint_shadow_judged_total"] == 3


def test_a_choice_outlives_a_restart_and_ends_when_the_candidate_is_activated(
    start: StartClient, bundles: Path, tmp_path: Path
) -> None:
    other = "20260101-060000"
    make_tiny_bundle(bundles, version=other, limits=LENIENT)
    chosen = tmp_path / "state" / "shadow.json"
    place = {"bundles": bundles, "state": chosen.parent, "archive": str(tmp_path / "archive")}
    first = start(**place)
    begin(first)
    chosen.rename(tmp_path / "aside")
    chosen.mkdir()
    status, code, detail = ask_for(first, other)
    assert (status, code, "cannot be kept" in detail) == (409, "shadow_failed", True)
    assert (shadow_of(first)["version"], shadow_of(first)["state"]) == (OLD, "running")
    chosen.rmdir()
    (tmp_path / "aside").rename(chosen)
    judge(first)
    judged(first, 1)
    first.__exit__(None, None, None)
    again = start(**place)
    wait_for(lambda: shadow_of(again).get("state") == "running", "the shadow run")
    assert shadow_of(again)["comparison"]["judged"] == 1  # of the run before
    assert again.post("/parts/bracket/activate", json={"version": OLD}).status_code == 200
    assert shadow_of(again)["code"] == "no_shadow"
    assert judge(again)["verdict"] == "anomalous"
    assert "bracket" not in chosen.read_text()


@pytest.mark.parametrize("chosen", [GONE, NEW])
def test_a_candidate_that_cannot_go_on_at_the_next_start_is_said(
    start: StartClient, bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: str
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "shadow.json").write_text(f'{{"bracket": "{chosen}"}}')
    client = start(bundles=bundles, state=state)
    wait_for(lambda: shadow_of(client).get("state") == "failed", "the reason")
    assert chosen in shadow_of(client)["failure"]
    assert counters(client) == {"glint_shadow_running": 0}
    monkeypatch.setattr(archive, "_SECONDS_FOR_A_TURN", 0.01)
    with ExitStack() as others:
        for _ in range(archive.LARGEST_CROWD):
            others.enter_context(client.app.state.archive.holdings.turn())
        assert (shadow_of(client)["version"], shadow_of(client)["comparison"]) == (chosen, None)
    assert shadow_of(client)["comparison"]["judged"] == 0
    assert client.get("/readyz").status_code == 200
    assert judge(client)["verdict"] == "clean"
    if chosen == GONE:
        assert client.delete("/parts/bracket/shadow").status_code == 204
    else:
        assert client.post("/parts/bracket/activate", json={"version": NEW}).status_code == 200
    assert shadow_of(client)["code"] == "no_shadow"
    assert (state / "shadow.json").read_text() == "{}\n"


REFUSED = (
    ("bracket", NEW, 409, "shadow_failed", "serves already"),
    ("bracket", OLD, 409, "shadow_failed", "golden photos differ"),
    ("bracket", GONE, 404, "unknown_version", OLD),
    ("lid", OLD, 404, "unknown_part", "bracket"),
    ("bracket", "../../etc", 422, "bad_field", "version"),
)


def test_what_cannot_be_trusted_or_is_not_there_does_not_run(
    start: StartClient, bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge(bundles / "bracket" / OLD, "golden/expected.json", '"verdict": "clean"', '"verdict": "scratched"')
    client = start(bundles=bundles)
    for part, version, status, code, said in REFUSED:
        answer = ask_for(client, version, part)
        assert answer[:2] == (status, code)
        assert said in answer[2]
        assert shadow_of(client)["code"] == "no_shadow"
    monkeypatch.setattr(sys, "executable", str(bundles / "no_python"))
    status, code, said = ask_for(client, OLD)
    assert (status, code, "No process can be started" in said) == (409, "shadow_failed", True)
    assert judge(client)["bundle_version"] == NEW


def test_nobody_waits_for_a_candidate_that_is_being_loaded(
    start: StartClient, bundles: Path, tmp_path: Path
) -> None:
    (tmp_path / "shadow.json").write_text(f'{{"bracket": "{GONE}"}}')
    client = start(bundles=bundles, state=tmp_path)
    wait_for(lambda: "state" in shadow_of(client), "the candidate of before")
    shadows: Shadows = client.app.state.shadows
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask_for, client, OLD)
        wait_for(lambda: shadows._loading is not None, "its process")
        loading = shadows._loading
        assert loading is not None
        os.kill(loading._process.pid, signal.SIGSTOP)
        try:
            assert ask_for(client, OLD)[:2] == (409, "shadow_busy")
            assert client.delete("/parts/bracket/shadow").status_code == 204
            assert client.post("/parts/bracket/activate", json={"version": OLD}).status_code == 200
            assert not asked.done()
        finally:
            os.kill(loading._process.pid, signal.SIGCONT)
        status, code, said = asked.result(60.0)
    # It was activated while it was loaded.
    assert (status, code, "serves already" in said) == (409, "shadow_failed", True)
    assert shadow_of(client)["code"] == "no_shadow"
    wait_for(lambda: loading._process.poll() is not None, "the end of its process")


def test_a_candidate_that_dies_is_counted_and_reaches_no_camera(start: StartClient, bundles: Path) -> None:
    client = start(bundles=bundles, archive="none")
    begin(client)
    poison = client.post("/inspect", content=encode(poisonous_photo()), headers={"content-type": "image/png"})
    assert poison.status_code == 500  # the active bundle failed, and there is nothing to compare with
    given = judge(client, ODD)["id"]
    judged(client, 1)
    [flip] = client.app.state.shadows.ledger.flips("bracket", OLD, NEW, 9)
    assert flip.inspection_id == given
    process = client.app.state.shadows._runs["bracket"]._candidate._process.pid
    assert os.getpriority(os.PRIO_PROCESS, process) == 19
    if sys.platform == "linux":
        assert os.sched_getscheduler(process) == os.SCHED_IDLE
    os.kill(process, signal.SIGKILL)
    assert judge(client)["verdict"] == "clean"
    wait_for(lambda: shadow_of(client)["state"] == "failed", "the failure")
    assert "exit code -9" in shadow_of(client)["failure"]
    assert judge(client)["verdict"] == "clean"
    assert client.get("/readyz").status_code == 200
    assert counters(client)["glint_shadow_faults_total"] == 1
    assert counters(client)["glint_shadow_running"] == 0
    begin(client)
    assert shadow_of(client)["faults"] == 0
    assert_it_waits_for_a_pause(client)


def assert_it_waits_for_a_pause(client: TestClient) -> None:
    run, busy = client.app.state.shadows._runs["bracket"], Busy()
    is_busy = run._is_busy
    run._is_busy = lambda: is_busy() and busy()
    busy.now = True
    with client.app.state.inspections.places.take():  # another photo is being inspected
        assert client.post("/inspect", content=GOOD, headers=JPEG).status_code == 200
        busy.wait_for_looks(3)
        assert shadow_of(client)["judged"] == 0
    wait_for(lambda: shadow_of(client)["judged"] == 1, "the photo, in the pause")
