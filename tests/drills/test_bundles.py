"""Drills: bundles that are damaged, and bundles that are swapped while photos come in."""

import http.client
import json
import time
from pathlib import Path
from typing import Any

import pytest

from models.bundle import MANIFEST
from models.decision import Limits
from tests.drills.conftest import DrillRecord
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
from tests.service.live import Live, serving
from tests.tiny_bundle import make_tiny_bundle

pytestmark = pytest.mark.drill

OLD, NEW, DAMAGED = "20260101-000000", "20260102-000000", "20260103-000000"
ALBUM = photos()
# The new version lets pass what the old one calls anomalous.
LENIENT = Limits(classifier=0.5, anomaly=100.0)


def ask(live: Live, method: str, path: str, body: object = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=30)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, body=text, headers={"content-type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def activate(live: Live, version: str) -> tuple[int, Any]:
    return ask(live, "POST", "/parts/bracket/activate", {"version": version})


def verdict_of(version: str, photo: Photo) -> str:
    """What a healthy service says of a photo with this version."""
    return "clean" if version == NEW and photo.verdict == "anomalous" else photo.verdict


def damage(bundle: Path, how: str) -> str:
    """Damage a bundle, its manifest aside or not; return what the service must say of it."""
    graph, manifest = bundle / "inspector.onnx", bundle / MANIFEST
    if how == "graph altered":
        data = graph.read_bytes()
        graph.write_bytes(data[:500] + bytes([data[500] ^ 1]) + data[501:])
        return "checksum"
    if how == "graph cut off":
        graph.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])
        return "checksum"
    if how == "graph not there yet":
        graph.unlink()
        return "missing"
    text = manifest.read_text()
    if how == "limit altered in the manifest":
        assert '"anomaly": 3.0' in text
        manifest.write_text(text.replace('"anomaly": 3.0', '"anomaly": 9.0', 1))
        return "was altered"
    manifest.write_text(text[: len(text) // 2])
    return "cannot be read"


@pytest.mark.parametrize(
    "how",
    [
        "graph altered",
        "graph cut off",
        "graph not there yet",
        "limit altered in the manifest",
        "manifest half written",
    ],
)
def test_a_damaged_bundle_is_not_served_and_other_parts_are(
    tmp_path: Path, drill_record: DrillRecord, how: str
) -> None:
    make_tiny_bundle(tmp_path, part="nut")
    said = damage(make_tiny_bundle(tmp_path), how)
    with serving(tmp_path, ready=False) as live:
        wait_for(lambda: _failed(live), "the bundle to fail")
        assert said in ask(live, "GET", "/readyz")[1]["parts"]["bracket"]["reason"]
        with cameras(live.port, ALBUM, query="?part=bracket") as refused:
            wait_for_answers(refused, 12)
        served = [post(live.port, photo, query="?part=nut") for photo in ALBUM]
    assert set(refused.statuses()) == {503}
    assert {shot.status for shot in served} == {200}
    assert_never_clean_by_fault([*refused, *served])
    drill_record(
        fault=f"A bundle is damaged at start: {how}",
        provoked="one of two parts' bundles is changed on the disk before the start",
        expected="readiness is red and names the file; that part gets 503, the other is served",
        seen=f"{refused.said()}; the other part: {len(served)} verdicts",
    )


def _failed(live: Live) -> bool:
    try:
        readiness = ask(live, "GET", "/readyz")[1]
    except OSError:
        return False
    states = {part: status["state"] for part, status in readiness["parts"].items()}
    return states == {"bracket": "failed", "nut": "ready"}


@pytest.mark.parametrize(
    "how",
    ["graph altered", "graph not there yet", "limit altered in the manifest", "manifest half written"],
)
def test_a_damaged_bundle_is_not_activated_and_the_old_one_goes_on(
    tmp_path: Path, drill_record: DrillRecord, how: str
) -> None:
    make_tiny_bundle(tmp_path, version=OLD)
    with serving(tmp_path) as live, cameras(live.port, ALBUM) as shots:
        damage(make_tiny_bundle(tmp_path, version=DAMAGED), how)
        status, problem = activate(live, DAMAGED)
        wait_for_answers(shots, 10)
        assert ask(live, "GET", "/readyz")[0] == 200
    assert (status, problem["code"]) in ((409, "activation_failed"), (404, "unknown_version"))
    assert set(shots.statuses()) == {200}
    assert {shot.answer["bundle_version"] for shot in shots} == {OLD}
    assert_never_clean_by_fault(shots)
    drill_record(
        fault=f"A bundle is damaged when it is activated: {how}",
        provoked="a newer version is changed on the disk, then activated under load",
        expected="4xx for the activation; the old version answers every photo",
        seen=f"{status} {problem['code']}; {shots.said()}",
    )


def test_bundles_swapped_under_load_drop_no_photo(tmp_path: Path, drill_record: DrillRecord) -> None:
    make_tiny_bundle(tmp_path, version=OLD)
    make_tiny_bundle(tmp_path, version=NEW, limits=LENIENT)
    swaps = 12
    with serving(tmp_path) as live, cameras(live.port, ALBUM, count=4) as shots:
        for number in range(swaps):
            wanted = (OLD, NEW)[number % 2]
            status, answer = activate(live, wanted)
            assert (status, answer["version"]) == (200, wanted), answer
            time.sleep(0.1)
            begun = len(shots)
            wait_for(lambda n=begun, v=wanted: _all_of(shots, n, v), f"answers of {wanted}")
    assert set(shots.statuses()) == {200}
    for shot in shots:
        assert shot.verdict == verdict_of(shot.answer["bundle_version"], shot.photo)
        assert shot.seconds < shot.deadline
    assert {shot.answer["bundle_version"] for shot in shots} == {OLD, NEW}
    drill_record(
        fault="A bundle is swapped under load",
        provoked=f"{swaps} activations, there and back, while four cameras post",
        expected="no photo fails; every verdict is that of the version it names",
        seen=shots.said(),
    )


def _all_of(shots: Shots, first: int, version: str) -> bool:
    """Whether the answers since `first` have all come from this version, and there are some."""
    since = list(shots)[first:]
    return len(since) >= 8 and {shot.answer.get("bundle_version") for shot in since[4:]} == {version}


def test_a_choice_outlives_kill_9(tmp_path: Path, drill_record: DrillRecord) -> None:
    bundles, state = tmp_path / "bundles", tmp_path / "state"
    make_tiny_bundle(bundles, version=OLD)
    make_tiny_bundle(bundles, version=NEW, limits=LENIENT)
    environment = {"GLINT_STATE": str(state)}
    seen = Shots()
    for round_number in range(3):
        with serving(bundles, environment=environment) as live:
            shot = post(live.port, ALBUM[0])
            seen.add(shot)
            assert shot.answer["bundle_version"] == (OLD if round_number else NEW)
            with cameras(live.port, ALBUM) as shots:
                assert activate(live, OLD)[1]["kept"] is True
                wait_for_answers(shots, 5)
                live.process.kill()
                assert live.process.wait(10) == -9
        for shot in shots:
            assert shot.status is None or shot.verdict == verdict_of(
                shot.answer["bundle_version"], shot.photo
            )
            assert shot.seconds <= shot.deadline + 1.0
    assert sorted(path.name for path in state.iterdir()) == ["activations.json", "active.json"]
    drill_record(
        fault="kill -9 (bundles and state)",
        provoked="three times under load, right after an older version was activated",
        expected="connections are closed; the next start serves the chosen version; nothing is half written",
        seen=seen.said(),
    )


def test_a_chosen_bundle_that_is_gone_is_not_replaced_by_another(
    tmp_path: Path, drill_record: DrillRecord
) -> None:
    bundles, state = tmp_path / "bundles", tmp_path / "state"
    old = make_tiny_bundle(bundles, version=OLD)
    make_tiny_bundle(bundles, version=NEW)
    environment = {"GLINT_STATE": str(state)}
    with serving(bundles, environment=environment) as live:
        assert activate(live, OLD)[0] == 200
    old.rename(bundles / "bracket" / f".{OLD}")
    with serving(bundles, environment=environment, ready=False) as live:
        wait_for(lambda: "not there any more" in _reasons(live), "the reason")
        refused = post(live.port, ALBUM[0])
        assert refused.status == 503
        assert activate(live, NEW)[0] == 200
        assert post(live.port, ALBUM[0]).answer["bundle_version"] == NEW
    drill_record(
        fault="The bundle that was activated is gone at the next start",
        provoked="its folder is renamed while the service is down; another version is there",
        expected="readiness is red and says so; 503 until a version is activated; never another by itself",
        seen=f"{refused.status} {refused.answer['code']}, then verdicts of the version activated",
    )


def _reasons(live: Live) -> str:
    try:
        return str(ask(live, "GET", "/readyz")[1]["reasons"])
    except OSError:
        return ""
