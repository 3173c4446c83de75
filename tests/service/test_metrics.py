"""`GET /metrics`: what Prometheus sees of the service."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import ClientDisconnect

from service.archive.status import ArchiveStatus
from service.http.observation import ObserveRequests
from service.http.requests import RequestIds, UnforeseenErrors
from service.registry import Registry
from service.settings import Settings
from service.telemetry.collector import StateCollector
from service.telemetry.drift_watch import DriftWatch
from service.telemetry.names import BoundedNames
from service.telemetry.record import RequestRecord
from tests.service.conftest import StartClient
from tests.tiny_bundle import anomalous_photo, clean_photo, encode, poisonous_photo

JPEG = {"content-type": "image/jpeg"}
GOOD = encode(clean_photo(), ".jpg")


def post(client: TestClient, query: str = "", data: bytes = GOOD) -> int:
    return client.post(f"/inspect{query}", content=data, headers=JPEG).status_code


def samples(client: TestClient, name: str) -> dict[tuple[str, ...], float]:
    """The samples of one name, by their label values in the order of the label names."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    found = [sample for family in families for sample in family.samples if sample.name == name]
    return {tuple(value for _, value in sorted(s.labels.items())): s.value for s in found}


def test_requests_are_counted_by_part_camera_verdict_and_status(client: TestClient) -> None:
    assert post(client, "?camera=left") == 200
    assert post(client, "?camera=left", encode(anomalous_photo(), ".jpg")) == 200
    assert post(client, "?camera=left&part=bracket", b"no photo") == 415
    counted = samples(client, "glint_requests_total")  # camera, part, route, status, verdict
    assert counted["left", "bracket", "/inspect", "200", "clean"] == 1
    assert counted["left", "bracket", "/inspect", "200", "anomalous"] == 1
    assert counted["left", "bracket", "/inspect", "415", "invalid"] == 1
    problems = samples(client, "glint_problems_total")
    assert {labels for labels, count in problems.items() if count} == {("not_an_image", "bracket")}


def test_a_problem_that_raises_an_alarm_is_counted_from_nought(client: TestClient) -> None:
    before = samples(client, "glint_problems_total")
    assert set(before.values()) == {0}
    assert post(client, data=encode(poisonous_photo())) == 500
    assert samples(client, "glint_problems_total")["inference_failed", "bracket"] == 1
    assert before["inference_failed", "bracket"] == 0
    assert {part for code, part in before if code == "not_recorded"} == {"", "other", "bracket"}


def test_the_service_counts_as_ready_exactly_when_it_says_so(client: TestClient) -> None:
    assert samples(client, "glint_ready") == {(): 1}
    client.app.state.archive._keeper._failure = "the disk is full"
    assert client.get("/readyz").status_code == 503
    assert samples(client, "glint_ready") == {(): 0}


def test_no_request_adds_a_label_of_its_own_making(start: StartClient) -> None:
    client = start(max_cameras=2)
    for camera in ("one", "two", "three", "four"):
        assert post(client, f"?camera={camera}") == 200
    assert post(client, "?part=secret-part") == 404
    assert client.get("/secret-path?key=1").status_code == 404
    assert client.request("SECRET", "/parts").status_code == 405
    text = client.get("/metrics").text
    for word in ("three", "four", "secret", "SECRET"):
        assert word not in text
    assert samples(client, "glint_requests_total")["other", "bracket", "/inspect", "200", "clean"] == 2
    assert samples(client, "glint_problems_total")["unknown_part", "other"] == 1


def test_a_camera_has_no_series_before_it_has_sent_a_photo(start: StartClient) -> None:
    client = start(max_cameras=1)
    assert post(client, "?camera=forged", b"no photo") == 415
    assert post(client, "?camera=real") == 200
    cameras = {labels[0] for labels in samples(client, "glint_requests_total")}
    assert cameras == {"", "other", "real"}


def test_every_stage_is_timed(client: TestClient) -> None:
    assert post(client) == 200
    counts = samples(client, "glint_stage_seconds_count")
    stages = {"decode", "resize", "queue", "inference", "decide", "overlay", "total"}
    assert {(stage,) for stage in stages} <= counts.keys()
    assert set(counts.values()) == {1}
    sums = samples(client, "glint_stage_seconds_sum")
    assert 0 < sums[("inference",)] < sums[("total",)] < 5


def test_the_scores_lie_on_the_side_of_their_verdict(client: TestClient) -> None:
    assert post(client) == 200
    assert post(client, data=encode(anomalous_photo(), ".jpg")) == 200
    below = samples(client, "glint_score_bucket")
    assert (below["0.5", "bracket"], below["+Inf", "bracket"]) == (1, 2)


def test_the_worker_its_queue_and_its_batches_are_seen(client: TestClient) -> None:
    provider = "CPUExecutionProvider"
    before = samples(client, "glint_batch_size_count")[(provider,)]  # of golden photos
    for _ in range(3):
        assert post(client) == 200
    assert samples(client, "glint_queue_depth") == {(provider,): 0}
    assert samples(client, "glint_batch_size_count") == {(provider,): before + 3}
    assert samples(client, "glint_batch_size_bucket")["1.0", provider] == before + 3
    assert samples(client, "glint_provider_info") == {("bracket", provider, "20260101-000000"): 1}
    assert samples(client, "glint_ready") == {(): 1}
    assert samples(client, "glint_part_ready") == {("bracket",): 1}


def test_a_failing_model_is_counted_as_such(client: TestClient) -> None:
    photo = encode(poisonous_photo())
    assert client.post("/inspect", content=photo, headers={"content-type": "image/png"}).status_code == 500
    problems = samples(client, "glint_problems_total")
    assert {labels: n for labels, n in problems.items() if n} == {("inference_failed", "bracket"): 1}


def test_a_canary_that_fails_is_seen(client: TestClient) -> None:
    assert samples(client, "glint_canary_passing") == {("bracket",): 1}
    canary = client.app.state.registry.loaded["bracket"].canary
    wrong = canary._photos[0].result.model_copy(update={"verdict": "anomalous"})
    canary._photos = [dataclasses.replace(canary._photos[0], result=wrong)]
    canary.check()
    assert samples(client, "glint_canary_passing") == {("bracket",): 0}
    assert samples(client, "glint_ready") == {(): 0}


def test_a_part_that_is_not_ready_is_seen(tmp_path: Path, start: StartClient) -> None:
    (tmp_path / "empty").mkdir()
    client = start(bundles=tmp_path / "empty")
    assert samples(client, "glint_ready") == {(): 0}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells a process's memory so")
def test_the_memory_of_the_process_is_seen(client: TestClient) -> None:
    assert samples(client, "process_resident_memory_bytes")[()] > 10e6


def test_two_applications_count_apart(start: StartClient) -> None:
    one, other = start(), start()
    assert post(one) == 200
    assert samples(one, "glint_stage_seconds_count")
    assert not samples(other, "glint_stage_seconds_count")


def test_prometheus_gets_the_format_that_it_asks_for(client: TestClient) -> None:
    assert client.get("/metrics").headers["content-type"].startswith("text/plain; version=")
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    answer = client.get("/metrics", headers=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_the_archive_is_seen_where_there_is_one() -> None:
    status = ArchiveStatus(
        waiting=3,
        oldest_seconds=1.5,
        free_bytes=10**9,
        low_water=True,
        written=12,
        failure="no space is left",
        removed=0,
    )
    registry = Registry(Settings.of(), on_death=lambda error: None)
    shown = CollectorRegistry()
    drift = DriftWatch(dict, BoundedNames(1), 0.05)
    shown.register(StateCollector(registry, drift, registry.readiness, lambda: status))
    for name, value in (
        ("waiting", 3),
        ("oldest_seconds", 1.5),
        ("free_bytes", 1e9),
        ("low_water", 1),
        ("failing", 1),
        ("written_total", 12),
    ):
        assert shown.get_sample_value(f"glint_archive_{name}") == value, name


def test_a_client_that_left_is_told_from_one_that_was_answered() -> None:
    records: list[RequestRecord] = []

    async def abandoned(scope: Any, receive: Any, send: Any) -> None:
        raise ClientDisconnect

    app = RequestIds(ObserveRequests(UnforeseenErrors(abandoned), [records.append]))
    scope = {"type": "http", "method": "POST", "path": "/inspect", "headers": []}
    asyncio.run(app(scope, None, None))  # type: ignore[arg-type]
    assert [(r.status, r.verdict, r.route) for r in records] == [(499, "invalid", "/inspect")]


def test_what_cannot_be_counted_is_answered_all_the_same(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise ArithmeticError("counting failed")

    client.app.state.inspections._observe = fail
    assert post(client) == 200
    assert "could not be observed" in caplog.text
