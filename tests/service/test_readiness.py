"""`/healthz`, `/readyz`, `/parts`: what is loaded, what is not, and why."""

import json
import threading
import time
from pathlib import Path

from models.bundle import MANIFEST, Bundle
from models.cpu import read_cpu_features
from models.inspector import Outputs
from models.session import CPU
from models.variants import choose_variant
from tests.service.conftest import StartClient
from tests.service.forging import forge
from tests.tiny_bundle import Pixels, clean_photo, encode, make_tiny_bundle

GOOD = encode(clean_photo(), ".jpg")
JPEG = {"content-type": "image/jpeg"}


def test_a_ready_service_says_what_runs_where(start: StartClient, tiny_bundle: Path) -> None:
    client = start()
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "ready": True,
        "reasons": [],
        "parts": {
            "bracket": {
                "state": "ready",
                "reason": "",
                "version": "20260101-000000",
                "provider": CPU,
                "provider_fallback": "",
                "precision": "fp32",
                "precision_reason": choose_variant(
                    Bundle.open(tiny_bundle).manifest, "cpu", read_cpu_features()
                ).reason,
            }
        },
    }
    assert client.get("/healthz").json() == {"alive": True}


def test_auto_says_everywhere_why_no_gpu_is_used(start: StartClient) -> None:
    client = start(device="auto")
    part = client.get("/readyz").json()["parts"]["bracket"]
    if part["provider"] == CPU:
        reason = part["provider_fallback"]
        assert reason
        assert client.get("/parts").json()[0]["provider_fallback"] == reason
        answer = client.post("/inspect", content=GOOD, headers=JPEG).json()
        assert answer["provider_fallback"] == reason
        assert answer["provider"] == CPU
    else:
        assert part["provider_fallback"] == ""


def test_parts_tells_the_limits_and_where_they_come_from(start: StartClient) -> None:
    (part,) = start().get("/parts").json()
    assert part["part"] == "bracket"
    assert part["version"] == "20260101-000000"
    assert part["created"] == "2026-01-01T00:00:00Z"
    assert part["classes"] == ["clean", "scratched"]
    assert part["input_size"] == {"height": 64, "width": 64}
    assert part["limits"]["anomaly"] == 3.0
    assert part["limit_origins"]["anomaly"]["n_good"] == 199
    assert part["trunk"]["name"] == "tiny"
    assert part["provider"] == CPU


def test_an_altered_bundle_is_not_served_and_the_others_are(start: StartClient, tmp_path: Path) -> None:
    make_tiny_bundle(tmp_path, part="bracket")
    altered = make_tiny_bundle(tmp_path, part="nut")
    graph = altered / "inspector.onnx"
    graph.write_bytes(graph.read_bytes() + b"\0")
    client = start(bundles=tmp_path)
    readiness = client.get("/readyz")
    assert readiness.status_code == 503
    assert readiness.json()["parts"]["nut"]["state"] == "failed"
    assert any("nut" in reason and "altered" in reason for reason in readiness.json()["reasons"])
    assert client.get("/healthz").status_code == 200
    refused = client.post("/inspect?part=nut", content=GOOD, headers=JPEG)
    assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
    assert "altered" in refused.json()["detail"]
    assert client.post("/inspect?part=bracket", content=GOOD, headers=JPEG).status_code == 200
    # There are two parts, even if one is not served: a photo of the other must not be taken for this one.
    unnamed = client.post("/inspect", content=GOOD, headers=JPEG)
    assert (unnamed.status_code, unnamed.json()["code"]) == (422, "part_not_named")


def test_a_bundle_whose_golden_photos_differ_is_not_served(start: StartClient, tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path)
    forge(bundle, "golden/expected.json", '"verdict": "clean"', '"verdict": "scratched"')
    client = start(bundles=tmp_path)
    assert client.get("/readyz").status_code == 503
    assert "golden/clean.png: clean instead of scratched" in client.get("/readyz").json()["reasons"][0]
    assert client.post("/inspect", content=GOOD, headers=JPEG).json()["code"] == "not_ready"


def test_a_bundle_that_is_broken_in_an_unforeseen_way_is_not_served(
    start: StartClient, tmp_path: Path
) -> None:
    bundle = make_tiny_bundle(tmp_path)
    forge(bundle, "golden/expected.json", "[", "{[")
    client = start(bundles=tmp_path)
    assert client.get("/readyz").status_code == 503
    assert client.get("/readyz").json()["parts"]["bracket"]["state"] == "failed"
    assert client.post("/inspect", content=GOOD, headers=JPEG).status_code == 503


def test_without_bundles_nothing_is_ready_and_the_reason_is_given(start: StartClient, tmp_path: Path) -> None:
    client = start(bundles=tmp_path)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert "holds no complete bundle" in response.json()["reasons"][0]
    assert client.get("/parts").json() == []
    refused = client.post("/inspect", content=GOOD, headers=JPEG)
    assert (refused.status_code, refused.json()["verdict"]) == (503, "invalid")


def test_a_manifest_of_another_schema_is_named(start: StartClient, tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path)
    manifest = json.loads((bundle / MANIFEST).read_text())
    (bundle / MANIFEST).write_text(json.dumps({**manifest, "schema_version": 99}))
    reasons = start(bundles=tmp_path).get("/readyz").json()["reasons"]
    assert "schema version 99" in reasons[0]


class StuckModel:
    """Hangs until it is released, as a driver can."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def run(self, batch: Pixels) -> list[Outputs]:
        self.released.wait(30.0)
        raise TimeoutError("the driver came back, but not with an answer")


def test_a_stuck_model_turns_readiness_red_and_answers_in_time_all_the_same(start: StartClient) -> None:
    client = start(stall_seconds=0.05)
    stuck = StuckModel()
    worker = client.app.state.registry.loaded["bracket"].batcher
    pending = worker.submit(stuck, clean_photo((64, 64)), time.monotonic() + 30.0)
    try:
        response = client.post("/inspect", content=GOOD, headers={**JPEG, "x-deadline-ms": "200"})
        assert (response.status_code, response.json()["code"]) == (504, "deadline_missed")
        assert client.get("/readyz").status_code == 503
        assert "has been stuck" in client.get("/readyz").json()["reasons"][0]
    finally:
        stuck.released.set()
    assert pending.exception(30.0) is not None
    assert client.post("/inspect", content=GOOD, headers=JPEG).status_code == 200
    assert client.get("/readyz").status_code == 200


def test_a_part_whose_newest_bundle_cannot_be_read_fails_alone(start: StartClient, tmp_path: Path) -> None:
    make_tiny_bundle(tmp_path, part="bracket")
    make_tiny_bundle(tmp_path, part="nut", version="20260101-000000")
    broken = make_tiny_bundle(tmp_path, part="nut", version="20260102-000000")
    (broken / MANIFEST).unlink()
    (broken / MANIFEST).mkdir()  # cannot be read, not even by root
    client = start(bundles=tmp_path)
    readiness = client.get("/readyz").json()
    assert readiness["ready"] is False
    assert (readiness["parts"]["nut"]["state"], readiness["parts"]["bracket"]["state"]) == ("failed", "ready")
    assert str(broken) in readiness["parts"]["nut"]["reason"]
    assert client.post("/inspect?part=bracket", content=GOOD, headers=JPEG).status_code == 200
    refused = client.post("/inspect?part=nut", content=GOOD, headers=JPEG)
    assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
