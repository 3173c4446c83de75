"""Drift: when a line's photos are no longer like those that its model was calibrated on."""

import math
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from models.decision import Limits
from models.manifest import CalibrationReference
from service.telemetry.drift import WINDOW, CameraStatus, DriftMonitor
from service.telemetry.drift_watch import monitor_of
from service.telemetry.reference import Reference, highest_rate, most_rejects, stability_index
from tests.calibration import calibrate
from tests.service.conftest import StartClient
from tests.tiny_bundle import Pixels, clean_photo, encode, make_tiny_bundle

JPEG = {"content-type": "image/jpeg"}


@pytest.fixture
def rng() -> random.Random:
    return random.Random(7)


def readings(rng: random.Random, brightness: float = 0.5, sharpness: float = 0.1) -> dict[str, float]:
    """A photo of a line whose readings vary by a tenth."""
    return {"brightness": brightness * rng.gauss(1, 0.1), "sharpness": sharpness * rng.gauss(1, 0.1)}


@pytest.fixture
def monitor(rng: random.Random) -> DriftMonitor:
    photos = [readings(rng) for _ in range(60)]
    return DriftMonitor({name: [photo[name] for photo in photos] for name in photos[0]})


def first_change(
    monitor: DriftMonitor, photo: Callable[[], Mapping[str, float]], photos: int
) -> tuple[int, CameraStatus] | None:
    """After how many photos an alarm came or went, and the status then."""
    for number in range(1, photos + 1):
        if changed := monitor.observe("cam3", photo(), rejected=False):
            return number, changed
    return None


def test_photos_like_those_of_the_calibration_raise_no_alarm(
    monitor: DriftMonitor, rng: random.Random
) -> None:
    assert first_change(monitor, lambda: readings(rng), 2000) is None
    [camera] = monitor.status()
    assert (camera.camera, camera.state, camera.photos) == ("cam3", "steady", 2000)


@pytest.mark.parametrize(
    ("change", "named"), [({"brightness": 0.4}, "brightness"), ({"sharpness": 0.08}, "sharpness")]
)
def test_a_fifth_less_of_one_reading_alarms_within_200_photos_and_names_it(
    monitor: DriftMonitor, rng: random.Random, change: dict[str, float], named: str
) -> None:
    assert first_change(monitor, lambda: readings(rng), 300) is None
    changed = first_change(monitor, lambda: readings(rng, **change), 200)
    assert changed is not None
    _, status = changed
    assert status.state == "drifting"
    assert {level.reading for level in status.alarms} == {named}


def test_an_alarm_ends_when_the_cause_is_gone(monitor: DriftMonitor, rng: random.Random) -> None:
    assert first_change(monitor, lambda: readings(rng, brightness=0.4), 200) is not None
    changed = first_change(monitor, lambda: readings(rng), 200)
    assert changed is not None
    assert changed[1].state == "steady"


def test_a_flickering_lamp_moves_the_spread_and_not_the_level(
    monitor: DriftMonitor, rng: random.Random
) -> None:
    changed = first_change(monitor, lambda: readings(rng, brightness=rng.choice((0.25, 0.75))), 400)
    assert changed is not None
    assert [(a.statistic, a.reading) for a in changed[1].alarms] == [("stability", "brightness")]


def test_one_monstrous_photo_is_no_drift(monitor: DriftMonitor, rng: random.Random) -> None:
    assert first_change(monitor, lambda: readings(rng), 300) is None
    assert monitor.observe("cam3", {"brightness": 1e9, "sharpness": 1e9}, rejected=True) is None


def test_what_is_no_number_is_left_out(monitor: DriftMonitor) -> None:
    odd = {"brightness": math.nan, "sharpness": math.inf, "never heard of": 1.0}
    assert first_change(monitor, lambda: odd, 500) is None


def test_cameras_are_watched_apart(monitor: DriftMonitor, rng: random.Random) -> None:
    for _ in range(200):
        monitor.observe("dark", readings(rng, brightness=0.4), rejected=False)
        monitor.observe("good", readings(rng), rejected=False)
    assert {camera.camera: camera.state for camera in monitor.status()} == {
        "dark": "drifting",
        "good": "steady",
    }


def test_two_cameras_that_were_calibrated_together_are_both_steady(rng: random.Random) -> None:
    photos = [readings(rng, brightness=level)["brightness"] for level in (0.3, 0.6) for _ in range(60)]
    monitor = DriftMonitor({"brightness": photos})
    for _ in range(1000):
        for camera, level in (("dim", 0.3), ("bright", 0.6)):
            assert monitor.observe(camera, readings(rng, brightness=level), rejected=False) is None


def test_more_rejects_than_are_usual_alarm(monitor: DriftMonitor, rng: random.Random) -> None:
    def usual() -> bool:
        return rng.random() < 0.05

    for _ in range(2000):
        assert monitor.observe("cam3", readings(rng), rejected=usual()) is None
    changes = [monitor.observe("cam3", readings(rng), rejected=rng.random() < 0.4) for _ in range(WINDOW)]
    [status] = [status for status in changes if status is not None]
    assert [alarm.statistic for alarm in status.alarms] == ["rejects"]


def test_a_level_that_hardly_varied_may_move_by_a_twentieth() -> None:
    reference = {"brightness": [0.5 + 1e-4 * number for number in range(40)]}
    near, far = DriftMonitor(reference), DriftMonitor(reference)
    assert first_change(near, lambda: {"brightness": 0.52}, 1000) is None
    assert first_change(far, lambda: {"brightness": 0.56}, 200) is not None


def test_too_few_calibration_photos_are_no_reference() -> None:
    monitor = DriftMonitor({"brightness": [0.5] * 19})
    assert not monitor.has_reference
    assert first_change(monitor, lambda: {"brightness": 0.1}, 500) is None
    assert monitor.status() == []


def test_a_new_camera_is_not_judged_by_a_few_photos(monitor: DriftMonitor, rng: random.Random) -> None:
    monitor.observe("cam3", readings(rng), rejected=False)
    assert monitor.status()[0].state == "too few photos"


def test_the_rejects_among_the_calibration_photos_are_counted_by_both_rules() -> None:
    scores = [1.0] * 37 + [9.0] * 3
    calibration = CalibrationReference(
        readings={"brightness": [0.5] * 40},
        anomaly_scores=scores,
        defect_probabilities=[0.9] * 2 + [0.0] * 38,
    )
    monitor = monitor_of(calibration, Limits(classifier=0.5, anomaly=3.0), usual_reject_rate=0.0)
    monitor.observe("cam3", {}, rejected=False)
    limits = {level.statistic: level.limit for level in monitor.status()[0].levels}
    assert limits["rejects"] == most_rejects(WINDOW, highest_rate(5, 40), 1e-6)


def test_the_statistics_are_those_of_the_books() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    assert most_rejects(200, 0.05, 1e-6) == int(scipy_stats.binom.isf(1e-6, 200, 0.05)) + 1
    assert stability_index([10**6, 0], [0.5, 0.5]) > 5
    assert stability_index([10**6, 10**6], [0.5, 0.5]) == pytest.approx(0, abs=1e-9)
    assert stability_index([750_000, 250_000], [0.5, 0.5]) == pytest.approx(0.25 * math.log(3), abs=1e-5)
    reference = Reference([float(number) for number in range(100, 201)])
    assert reference.normal_score(150.0) == pytest.approx(0.0)
    assert reference.normal_score(1e9) == pytest.approx(scipy_stats.norm.ppf(1 - 0.5 / 102), abs=1e-9)
    assert sum(reference.bin_shares) == pytest.approx(1.0)


def calibrated(folder: Path) -> Path:
    bundle = make_tiny_bundle(folder)
    calibrate(bundle, [part(seed, lamp(seed)) for seed in range(40)])
    return folder


def lamp(seed: int) -> float:
    """The light on one photo: it varies by some percent."""
    return random.Random(seed).gauss(1.0, 0.04)


def part(seed: int, light: float) -> bytes:
    pixels: Pixels = (clean_photo(seed=seed) * light).clip(0, 255).astype("uint8")
    return encode(pixels, ".jpg")


def drift_of(client: TestClient) -> Any:
    return client.get("/parts").json()[0]["drift"]


def test_a_darker_line_is_seen_in_parts_metrics_and_the_log(
    tmp_path: Path, start: StartClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = start(bundles=calibrated(tmp_path))
    for seed in range(100, 130):
        client.post("/inspect?camera=cam3&overlay=none", content=part(seed, lamp(seed)), headers=JPEG)
    assert drift_of(client)["state"] == "steady"
    assert 'glint_drift{camera="cam3",part="bracket"} 0.0' in client.get("/metrics").text
    for seed in range(200, 400):
        client.post("/inspect?camera=cam3&overlay=none", content=part(seed, 0.8 * lamp(seed)), headers=JPEG)
        [camera] = drift_of(client)["cameras"]
        if any(alarm["reading"] == "brightness" for alarm in camera["alarms"]):
            break
    assert (camera["state"], drift_of(client)["state"]) == ("drifting", "drifting")
    assert {alarm["reading"] for alarm in camera["alarms"]} == {"anomaly_score", "brightness"}
    assert "lamp" in camera["what_to_do"]
    assert 'glint_drift{camera="cam3",part="bracket"} 1.0' in client.get("/metrics").text
    [shown] = client.app.state.station.alarms.status()["alarms"]["cam3"]
    assert (shown["kind"], "lamp" in shown["detail"]) == ("drift", True)
    event, *_ = [record for record in caplog.records if getattr(record, "event", "") == "drift"]
    assert (event.levelname, event.part, event.camera, event.state) == (
        "WARNING",
        "bracket",
        "cam3",
        "drifting",
    )


def test_a_bundle_without_calibration_photos_says_so(client: TestClient) -> None:
    client.post("/inspect?camera=cam3", content=part(0, 1.0), headers=JPEG)
    assert drift_of(client) == {"state": "no reference", "cameras": []}
    assert 'glint_drift_reference{part="bracket"} 0.0' in client.get("/metrics").text
