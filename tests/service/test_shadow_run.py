"""A candidate's process, what a shadow run asks of it, and how the two are compared."""

import io
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

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
from tests.service.forging import forge
from tests.service.shadow_cases import GOOD, ODD, OLD, Busy, wait_for
from tests.tiny_bundle import encode, make_tiny_bundle, poisonous_photo


@pytest.fixture(scope="module")
def seen(tiny_bundle: Path) -> Seen:
    inspection, _, _ = Inspector.load(tiny_bundle, "cpu", threads=1).inspect(GOOD)
    return Seen(inspection.model_copy(update={"bundle_version": "another"}), GOOD)


@dataclass(frozen=True)
class Paused:
    """A run whose candidate's process stands still until `go_on`."""

    run: ShadowRun
    candidate: Candidate
    busy: Busy

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
        candidate, busy = Candidate(), Busy()
        if bundle is not None:
            candidate.prove(assignment(bundle), 60.0)
        os.kill(candidate._process.pid, signal.SIGSTOP)
        run = ShadowRun("bracket", OLD, candidate, InMemory(), is_busy=busy, seconds=20.0)
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
    paused.busy.now = True
    paused.go_on()
    wait_for(lambda: paused.run.counts.judged == 1, "the photo that it had")
    paused.busy.wait_for_looks(3)
    assert paused.run.counts.judged == 1
    paused.busy.now = False
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
