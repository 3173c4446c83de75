"""Drills: the worker, the GPU and what they give."""

from pathlib import Path

import pytest

from service.app import EXIT_CODE_DEAD_WORKER
from tests.drills.conftest import DrillRecord
from tests.drills.faulty import GPU_LOST, OUT_OF_MEMORY, Faulty, faulty_service, under_load
from tests.drills.harness import (
    Photo,
    Shots,
    assert_never_clean_by_fault,
    cameras,
    photos,
    post,
    wait_for,
    wait_for_answers,
)
from tests.tiny_bundle import encode, poisonous_photo

pytestmark = pytest.mark.slow

ALBUM = photos()


def ready(service: Faulty) -> bool:
    try:
        return service.live.get("/readyz")[0] == 200
    except OSError:
        return False


def day_said(service: Faulty) -> str:
    """The day in the Date header."""
    connection = service.live.connect()
    try:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        response.read()
        return str(response.getheader("date"))[:16]
    finally:
        connection.close()


def test_an_exception_in_the_worker_fails_its_photos_alone(
    tiny_bundles: Path, tmp_path: Path, drill_record: DrillRecord
) -> None:
    with under_load(tiny_bundles, tmp_path, ALBUM) as (service, shots):
        service.order("falter [ONNXRuntimeError] : 2 : INVALID_ARGUMENT : a fault of this photo")
        wait_for(lambda: shots.codes()["inference_failed"] >= 2, "failed photos")
        service.order("")
        before = shots.statuses()[200]
        wait_for(lambda: shots.statuses()[200] > before + 10, "answers after the fault")
        assert ready(service)
    drill_record(
        fault="The worker raises an exception",
        provoked="the session raises ONNX Runtime's exception in every second run for a moment, under load",
        expected="500 for these photos, a verdict for the others; the process lives",
        seen=shots.said(),
    )


@pytest.mark.parametrize(
    ("fault", "order", "provoked"),
    [
        ("The worker's thread is killed", "die", "SystemExit is raised inside the thread, under load"),
        ("The GPU is lost", f"raise {GPU_LOST}", "the session raises CUDA failure 719, under load"),
        ("The provider changes under way", "moved", "the session says it runs on the CPU, under load"),
        (
            "Every run fails, and nobody says why",
            "raise no kernel image",
            "the session raises an unknown exception on every run, black photos included",
        ),
    ],
)
def test_a_worker_that_cannot_go_on_ends_the_process(
    tiny_bundles: Path, tmp_path: Path, drill_record: DrillRecord, fault: str, order: str, provoked: str
) -> None:
    with under_load(tiny_bundles, tmp_path, ALBUM, gpu=True) as (service, shots):
        service.order(order)
        wait_for(lambda: shots.codes()["worker_died"] > 0, "an answer that says the worker died")
        assert not ready(service)
        assert service.live.process.wait(10) == EXIT_CODE_DEAD_WORKER
    drill_record(
        fault=fault,
        provoked=provoked,
        expected="waiting photos get 503, readiness is red, the process exits 70 for its supervisor",
        seen=f"exit 70; {shots.said()}",
    )


def test_photos_the_model_fails_on_do_not_end_the_process(
    tiny_bundles: Path, tmp_path: Path, drill_record: DrillRecord
) -> None:
    poison = encode(poisonous_photo())
    with faulty_service(tiny_bundles, tmp_path) as service:
        shots = Shots()
        for _ in range(12):
            shots.add(post(service.live.port, Photo(poison, "none", {"content-type": "image/png"})))
        assert shots.codes() == {"inference_failed": 12}
        assert post(service.live.port, ALBUM[0]).verdict == ALBUM[0].verdict
        assert ready(service)
    assert_never_clean_by_fault(shots)
    drill_record(
        fault="A photo that the model fails on, sent again and again",
        provoked="12 times in a row a photo on which the graph itself fails",
        expected="500 each; the worker proves the device on a black photo and goes on",
        seen=shots.said(),
    )


def test_a_batch_that_does_not_fit_into_memory_is_run_in_smaller_ones(
    tiny_bundles: Path, tmp_path: Path, drill_record: DrillRecord
) -> None:
    with under_load(tiny_bundles, tmp_path, ALBUM, count=6, gpu=True) as (service, shots):
        service.order("crowded 1")
        wait_for(lambda: OUT_OF_MEMORY[-30:] in service.live.log.read_text(), "a batch that is too large")
        wait_for_answers(shots, 60)
        assert ready(service)
    assert set(shots.statuses()) == {200}
    drill_record(
        fault="A batch does not fit into the GPU's memory",
        provoked="the session fails to allocate for more than one photo; six cameras",
        expected="the batch is halved until it runs; every photo gets its verdict",
        seen=shots.said(),
    )


def test_without_memory_even_for_one_photo_nothing_is_judged_until_it_is_back(
    tiny_bundles: Path, tmp_path: Path, drill_record: DrillRecord
) -> None:
    with under_load(tiny_bundles, tmp_path, ALBUM, pause=0.1, gpu=True, canary_seconds="0.1") as (
        service,
        shots,
    ):
        service.order("crowded 0")
        wait_for(lambda: shots.codes()["inference_failed"] + shots.codes()["canary_failed"] >= 3, "problems")
        service.order("")
        wait_for(lambda: ready(service) or service.live.process.poll() is not None, "readiness or the end")
    drill_record(
        fault="The GPU's memory is taken by another process",
        provoked="no photo can be allocated for, for a moment, under load",
        expected="5xx for that moment; verdicts once there is memory, or exit 70 if it lasts",
        seen=shots.said(),
    )


@pytest.mark.parametrize(
    ("fault", "order"),
    [("The model gives NaN", "nan"), ("The model computes something else, plausibly", "shifted")],
)
def test_a_model_that_is_wrong_turns_its_part_red_until_it_is_right_again(
    tiny_bundles: Path, tmp_path: Path, drill_record: DrillRecord, fault: str, order: str
) -> None:
    clean = [photo for photo in ALBUM if photo.verdict == "clean"]
    with faulty_service(tiny_bundles, tmp_path, canary_seconds="0.2") as service:
        port = service.live.port
        service.order(order)
        wait_for(lambda: not ready(service), "readiness to turn red")
        with cameras(port, ALBUM, pause=0.02) as wrong:
            wait_for_answers(wrong, 12)
        assert set(wrong.statuses()) == {503}
        assert set(wrong.codes()) == {"canary_failed"}
        service.order("")
        wait_for(lambda: ready(service), "readiness to turn green")
        healed = [post(port, photo) for photo in clean]
    assert_never_clean_by_fault([*wrong, *healed])
    assert {shot.verdict for shot in healed} == {"clean"}
    drill_record(
        fault=fault,
        provoked=f"the session's outputs are changed (`{order}`); canary every 0.2 s",
        expected="the canary turns readiness red; every photo gets 503 canary_failed until it passes",
        seen=f"red: {wrong.said()}; then {len(healed)} verdicts",
    )


def test_nan_is_no_verdict_before_the_canary_runs(
    tiny_bundles: Path, tmp_path: Path, drill_record: DrillRecord
) -> None:
    with faulty_service(tiny_bundles, tmp_path) as service:
        service.order("nan")
        shot = post(service.live.port, ALBUM[0])
    assert (shot.status, shot.answer["code"]) == (500, "untrustworthy_outputs")
    assert_never_clean_by_fault([shot])
    drill_record(
        fault="The model gives NaN, and the canary has not run yet",
        provoked="the session's outputs are changed (`nan`), one photo",
        expected="500 untrustworthy_outputs, verdict invalid",
        seen=f"{shot.status} {shot.answer['code']}, {shot.verdict}",
    )


def test_a_late_answer_is_none(tiny_bundles: Path, tmp_path: Path, drill_record: DrillRecord) -> None:
    with faulty_service(tiny_bundles, tmp_path) as service:
        service.order("slow 0.8")
        # One after another: with others ahead of it, a photo would be refused as too late at once.
        with cameras(service.live.port, ALBUM, count=1, deadline_ms=300) as shots:
            wait_for_answers(shots, 9)
        assert shots.codes()["deadline_missed"] == len(shots)
        service.order("")
        wait_for(lambda: post(service.live.port, ALBUM[0]).status == 200, "an answer in time")
    assert_never_clean_by_fault(shots)
    drill_record(
        fault="The deadline is missed",
        provoked="a run takes 0.8 s, the cameras allow 0.3 s",
        expected="504 at the deadline; verdicts again once the model is fast enough",
        seen=shots.said(),
    )


def test_a_clock_that_jumps_moves_no_deadline(
    tiny_bundles: Path, tmp_path: Path, drill_record: DrillRecord
) -> None:
    with faulty_service(tiny_bundles, tmp_path) as service:
        service.order("clock 86400")
        dates: set[str] = set()
        with cameras(service.live.port, ALBUM, deadline_ms=2000) as shots:
            wait_for_answers(shots, 60)
            wait_for(lambda: dates.add(day_said(service)) or len(dates) > 1, "the clock to jump")
        assert ready(service)
        assert set(shots.statuses()) == {200}
    assert_never_clean_by_fault(shots)
    drill_record(
        fault="The wall clock jumps",
        provoked="the process's clock jumps by a day to and fro, twenty times a second, under load",
        expected="every photo gets its verdict: deadlines go by the monotonic clock",
        seen=shots.said(),
    )
