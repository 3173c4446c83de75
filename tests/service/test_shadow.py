"""A candidate in the shadow judges what the active bundle has judged, and changes nothing."""

import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from models.cuda.options import CudaSettings
from models.formats import PhotoLimits
from models.inspector import Inspector
from service.orders import Seen
from service.shadow import child
from service.shadow.candidate import Candidate
from service.shadow.comparison import Comparison
from service.shadow.errors import CandidateLostError
from service.shadow.ledger import InMemory
from service.shadow.messages import Assignment, Opinion, framed, receive_photo
from service.shadow.run import MOST_BYTES, MOST_PHOTOS, ShadowRun
from tests.service.conftest import StartClient
from tests.service.forging import forge
from tests.service.shadow_cases import (
    GOOD,
    JPEG,
    NEW,
    ODD,
    OLD,
    SCRATCHED,
    judge,
    shadow_of,
    two_bundles,
    wait_for,
)
from tests.tiny_bundle import encode, make_tiny_bundle, poisonous_photo


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    return two_bundles(tmp_path / "bundles")


def begin(client: TestClient, version: str = OLD) -> None:
    response = client.post("/parts/bracket/shadow", json={"version": version})
    assert response.status_code == 200, response.text
    assert (response.json()["version"], response.json()["state"]) == (version, "running")


def judged(client: TestClient, count: int) -> None:
    """Wait until the comparison, which is written once a second, holds so many photos."""
    wait_for(lambda: shadow_of(client)["comparison"]["judged"] >= count, "the candidate's verdicts")


def counters(client: TestClient) -> dict[str, float]:
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {s.name: s.value for f in families for s in f.samples if s.name.startswith("glint_shadow")}


@pytest.mark.parametrize("archive", ["some", "none"])
def test_a_candidate_judges_the_same_photos_and_its_flips_are_counted(
    start: StartClient, bundles: Path, tmp_path: Path, archive: str
) -> None:
    client = start(bundles=bundles, archive="none" if archive == "none" else str(tmp_path / "archive"))
    begin(client)
    answers = [judge(client, photo) for photo in (ODD, GOOD, SCRATCHED)]
    assert [answer["verdict"] for answer in answers] == ["clean", "clean", "scratched"]
    assert {answer["bundle_version"] for answer in answers} == {NEW}
    judged(client, 3)
    found = shadow_of(client)
    assert (found["active_version"], found["state"], found["dropped"], found["faults"]) == (
        NEW,
        "running",
        0,
        0,
    )
    compared = found["comparison"]
    assert compared["flips"] == [{"active": "clean", "candidate": "defect", "count": 1}]
    assert [
        round(compared[name], 3) for name in ("agreement", "active_reject_rate", "candidate_reject_rate")
    ] == [
        0.667,
        0.333,
        0.667,
    ]
    [flip] = client.app.state.shadows.ledger.flips("bracket", OLD, NEW, 9)
    assert (flip.inspection_id, flip.active_verdict, flip.verdict) == (answers[0]["id"], "clean", "anomalous")
    assert counters(client) == {
        "glint_shadow_judged_total": 3,
        "glint_shadow_flipped_total": 1,
        "glint_shadow_dropped_total": 0,
        "glint_shadow_faults_total": 0,
        "glint_shadow_running": 1,
    }
    assert client.delete("/parts/bracket/shadow").status_code == 204
    assert shadow_of(client)["code"] == "no_shadow"
    assert counters(client)["glint_shadow_judged_total"] == 3


def test_a_choice_outlives_a_restart_and_ends_when_the_candidate_is_activated(
    start: StartClient, bundles: Path, tmp_path: Path
) -> None:
    place = {"bundles": bundles, "state": tmp_path / "state", "archive": str(tmp_path / "archive")}
    first = start(**place)
    begin(first)
    judge(first)
    judged(first, 1)
    first.__exit__(None, None, None)
    again = start(**place)
    wait_for(lambda: shadow_of(again).get("state") == "running", "the shadow run")
    assert shadow_of(again)["comparison"]["judged"] == 1  # of the run before
    assert again.post("/parts/bracket/activate", json={"version": OLD}).status_code == 200
    assert shadow_of(again)["code"] == "no_shadow"
    assert judge(again)["verdict"] == "anomalous"
    assert "bracket" not in (tmp_path / "state" / "shadow.json").read_text()


def test_a_candidate_that_is_gone_at_the_next_start_is_said(
    start: StartClient, bundles: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "shadow.json").write_text('{"bracket": "20250101-000000"}')
    client = start(bundles=bundles, state=state)
    wait_for(lambda: shadow_of(client).get("state") == "failed", "the reason")
    assert "20250101-000000" in shadow_of(client)["failure"]
    assert client.get("/readyz").status_code == 200
    assert judge(client)["verdict"] == "clean"
    assert client.delete("/parts/bracket/shadow").status_code == 204


@pytest.mark.parametrize(
    ("part", "version", "status", "code", "said"),
    [
        ("bracket", NEW, 409, "shadow_failed", "serves already"),
        ("bracket", OLD, 409, "shadow_failed", "golden photos differ"),
        ("bracket", "20250101-000000", 404, "unknown_version", OLD),
        ("lid", OLD, 404, "unknown_part", "bracket"),
        ("bracket", "../../etc", 422, "bad_field", "version"),
    ],
)
def test_what_cannot_be_trusted_or_is_not_there_does_not_run(
    start: StartClient, bundles: Path, part: str, version: str, status: int, code: str, said: str
) -> None:
    client = start(bundles=bundles)
    forge(bundles / "bracket" / OLD, "golden/expected.json", '"verdict": "clean"', '"verdict": "scratched"')
    response = client.post(f"/parts/{part}/shadow", json={"version": version})
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert said in response.json()["detail"]
    assert shadow_of(client)["code"] == "no_shadow"
    assert judge(client)["bundle_version"] == NEW


def test_a_candidate_that_dies_is_counted_and_reaches_no_camera(start: StartClient, bundles: Path) -> None:
    client = start(bundles=bundles)
    begin(client)
    poison = client.post("/inspect", content=encode(poisonous_photo()), headers={"content-type": "image/png"})
    assert poison.status_code == 500  # the active bundle failed, and there is nothing to compare with
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


@pytest.fixture(scope="module")
def seen(tiny_bundle: Path) -> Seen:
    inspection, _, _ = Inspector.load(tiny_bundle, "cpu", threads=1).inspect(GOOD)
    return Seen(inspection.model_copy(update={"bundle_version": "another"}), GOOD)


@dataclass(frozen=True)
class Paused:
    """A run whose candidate's process stands still until `go_on`."""

    run: ShadowRun
    candidate: Candidate
    busy: threading.Event

    def go_on(self) -> None:
        os.kill(self.candidate._process.pid, signal.SIGCONT)

    def offer_one(self, seen: Seen) -> None:
        """Offer a photo, and wait until the candidate has it."""
        self.run.offer(seen)
        wait_for(lambda: not self.run._waiting, "the first photo")


@pytest.fixture
def pause() -> Iterator[Callable[..., Paused]]:
    running: list[ShadowRun] = []

    def start_one(bundle: Path | None = None) -> Paused:
        candidate, busy = Candidate(), threading.Event()
        if bundle is not None:
            candidate.prove(assignment(bundle), 60.0)
        os.kill(candidate._process.pid, signal.SIGSTOP)
        run = ShadowRun("bracket", OLD, candidate, InMemory(), is_busy=busy.is_set, seconds=20.0)
        running.append(run)
        return Paused(run, candidate, busy)

    yield start_one
    for run in running:
        run.close()


def assignment(bundle: Path) -> Assignment:
    return Assignment(
        bundle=bundle,
        device="cpu",
        precision="auto",
        cuda=CudaSettings(),
        limits=PhotoLimits(),
        canary_seconds=60.0,
    )


def test_what_the_candidate_has_no_time_for_is_dropped_and_the_rest_is_judged_when_it_is_calm(
    pause: Callable[..., Paused], tiny_bundle: Path, seen: Seen
) -> None:
    paused = pause(tiny_bundle)
    paused.offer_one(seen)
    begun = time.monotonic()
    for _ in range(MOST_PHOTOS + 5):
        paused.run.offer(seen)
    assert time.monotonic() - begun < 1.0  # it waits for nobody
    assert paused.run.counts.dropped == 5
    paused.busy.set()
    paused.go_on()
    wait_for(lambda: paused.run.counts.judged == 1, "the photo that it had")
    time.sleep(0.2)
    assert paused.run.counts.judged == 1
    paused.busy.clear()
    wait_for(lambda: paused.run.counts.judged == MOST_PHOTOS + 1, "the others")


def test_large_photos_are_not_held_beside_each_other(pause: Callable[..., Paused], seen: Seen) -> None:
    paused = pause()
    large = replace(seen, photo=bytes(2 * MOST_BYTES // 3))
    paused.offer_one(seen)
    paused.run.offer(large)
    paused.run.offer(large)
    assert paused.run.counts.dropped == 1
    paused.run.offer(seen)
    assert paused.run.counts.dropped == 1


def test_what_the_candidate_itself_has_judged_is_not_compared(
    pause: Callable[..., Paused], seen: Seen
) -> None:
    paused = pause()
    paused.offer_one(seen)
    own = seen.inspection.model_copy(update={"bundle_version": OLD})
    paused.run.offer(replace(seen, inspection=own))
    assert not paused.run._waiting


def test_a_run_ends_in_the_middle_of_a_photo(pause: Callable[..., Paused], seen: Seen) -> None:
    paused = pause()
    paused.offer_one(seen)
    begun = time.monotonic()
    paused.run.close()
    assert time.monotonic() - begun < 5.0
    assert (paused.run.failure, paused.run.counts.faults) == ("", 0)
    assert paused.candidate._process.returncode == -signal.SIGKILL
    paused.run.offer(seen)
    assert not paused.run._waiting


def test_a_process_that_does_not_answer_is_ended() -> None:
    candidate = Candidate()
    os.kill(candidate._process.pid, signal.SIGSTOP)
    begun = time.monotonic()
    with pytest.raises(CandidateLostError, match="did not answer"):
        candidate.judge(b"x" * 10_000_000, 0.3)
    assert time.monotonic() - begun < 5.0
    candidate.close()
    assert candidate._process.returncode == -signal.SIGKILL


def test_the_candidate_says_of_each_photo_what_became_of_it(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path)
    judge_of = child.Judge(assignment(bundle).model_copy(update={"canary_seconds": 0.0}))
    said = judge_of.reply(ODD).opinion
    assert said is not None
    assert (said.verdict, said.defect_probability is not None, said.needs_review) == ("anomalous", True, True)
    assert judge_of.reply(b"no photo").opinion == Opinion(verdict="invalid")
    failed = judge_of.reply(encode(poisonous_photo()))
    assert (failed.opinion, failed.untrusted, "indices" in failed.fault) == (None, False, True)
    forge(bundle, "golden/expected.json", '"verdict": "clean"', '"verdict": "scratched"')
    lost = judge_of.reply(GOOD)
    assert (lost.opinion, lost.untrusted) == (None, True)
    assert "golden photos differ" in lost.fault


def test_photos_that_were_cut_off_are_not_judged() -> None:
    whole = framed(b"one") + framed(b"")
    stream = io.BytesIO(whole + framed(b"three")[:-1])
    assert [receive_photo(stream) for _ in range(3)] == [b"one", b"", None]


def test_both_reject_rates_are_over_the_same_photos() -> None:
    found = Comparison(
        {
            ("clean", "clean"): 90,
            ("clean", "anomalous"): 4,
            ("scratched", "dented"): 5,
            ("scratched", "invalid"): 1,
        }
    )
    assert (found.judged, found.agreed.count) == (100, 95)
    assert (found.active_rejects.rate, found.candidate_rejects.rate) == (0.06, 0.09)
    assert found.flips == {("clean", "defect"): 4, ("defect", "invalid"): 1}
    assert Comparison({}).agreed.rate is None


def test_a_candidate_waits_for_a_pause_and_its_verdict_goes_with_the_inspection(
    start: StartClient, bundles: Path
) -> None:
    client = start(bundles=bundles)
    begin(client)
    with client.app.state.inspections.admit():  # another photo is being inspected
        given = client.post("/inspect", content=ODD, headers=JPEG).json()["id"]
        time.sleep(0.3)
        assert shadow_of(client)["judged"] == 0
    judged(client, 1)
    database = client.app.state.archive.holdings.database
    with database.writing() as connection:
        connection.exec_driver_sql(f"DELETE FROM reviews WHERE inspection_id = '{given}'")  # noqa: S608
        connection.exec_driver_sql(f"DELETE FROM inspections WHERE id = '{given}'")  # noqa: S608
    assert shadow_of(client)["comparison"]["judged"] == 0
