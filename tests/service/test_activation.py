"""`POST /parts/{part}/activate`: another bundle in place, or the old one as if nothing had happened."""

import json
import logging
from pathlib import Path

import pytest

from models.decision import Limits
from service.registry import Registry
from tests.service.conftest import StartClient
from tests.service.forging import forge
from tests.tiny_bundle import anomalous_photo, encode, make_tiny_bundle

OLD, NEW = "20260101-000000", "20260102-000000"
ODD = encode(anomalous_photo(), ".jpg")
JPEG = {"content-type": "image/jpeg"}
LENIENT = Limits(classifier=0.5, anomaly=100.0)


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    """Two versions; only the older one calls `ODD` anomalous."""
    folder = tmp_path / "bundles"
    make_tiny_bundle(folder, version=OLD)
    make_tiny_bundle(folder, version=NEW, limits=LENIENT)
    return folder


def judge(client) -> tuple[str, str]:
    answer = client.post("/inspect", content=ODD, headers=JPEG).json()
    return answer["bundle_version"], answer["verdict"]


def test_the_versions_are_listed_the_newest_first_with_what_serves(start: StartClient, bundles: Path) -> None:
    half = make_tiny_bundle(bundles, version="20260103-000000")
    client = start(bundles=bundles)
    (half / "manifest.json").write_text("{")
    listed = client.get("/parts/bracket/versions").json()
    assert [(entry["version"], entry["active"]) for entry in listed] == [
        ("20260103-000000", True),
        (NEW, False),
        (OLD, False),
    ]
    assert "cannot be read" in listed[0]["problem"]
    assert listed[1]["problem"] == ""


def test_an_activated_version_serves_from_then_on(
    start: StartClient, bundles: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = start(bundles=bundles)
    assert judge(client) == (NEW, "clean")
    with caplog.at_level(logging.INFO, logger="service"):
        response = client.post("/parts/bracket/activate", json={"version": OLD})
    assert response.status_code == 200
    answer = response.json()
    assert (answer["version"], answer["previous"], answer["kept"]) == (OLD, NEW, False)
    assert "GLINT_STATE" in answer["note"]
    assert judge(client) == (OLD, "anomalous")
    assert client.get("/parts").json()[0]["version"] == OLD
    assert client.get("/readyz").json()["parts"]["bracket"]["version"] == OLD
    assert f"version={OLD} previous={NEW}" in caplog.text


def test_a_choice_is_kept_in_the_state_folder(start: StartClient, bundles: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = start(bundles=bundles, state=state)
    answer = first.post("/parts/bracket/activate", json={"version": OLD}).json()
    assert (answer["kept"], answer["note"]) == (True, "")
    assert json.loads((state / "active.json").read_text()) == {"bracket": OLD}
    assert judge(start(bundles=bundles, state=state)) == (OLD, "anomalous")
    assert judge(start(bundles=bundles)) == (NEW, "clean")


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("golden/expected.json", '"verdict": "clean"', '"verdict": "scratched"', "golden photos differ"),
        ("golden/expected.json", "[", "{[", "cannot be read"),
    ],
)
def test_a_bundle_that_cannot_be_trusted_is_not_activated(
    start: StartClient, bundles: Path, tmp_path: Path, file: str, old: str, new: str, said: str
) -> None:
    client = start(bundles=bundles, state=tmp_path / "state")
    forge(bundles / "bracket" / OLD, file, old, new)
    response = client.post("/parts/bracket/activate", json={"version": OLD})
    assert (response.status_code, response.json()["code"]) == (409, "activation_failed")
    assert said in response.json()["detail"]
    assert f"{NEW} goes on serving" in response.json()["detail"]
    assert judge(client) == (NEW, "clean")
    assert client.get("/readyz").status_code == 200
    assert not (tmp_path / "state").exists()


def test_a_choice_that_cannot_be_kept_is_not_made(start: StartClient, bundles: Path, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file, where a folder should be")
    client = start(bundles=bundles, state=tmp_path / "state" / "deeper")
    response = client.post("/parts/bracket/activate", json={"version": OLD})
    assert (response.status_code, response.json()["code"]) == (409, "activation_failed")
    assert judge(client) == (NEW, "clean")


def test_a_damaged_record_of_choices_is_named_and_nothing_is_served(
    start: StartClient, bundles: Path, tmp_path: Path
) -> None:
    (tmp_path / "active.json").write_text('{"bracket": ')
    client = start(bundles=bundles, state=tmp_path)
    assert client.get("/readyz").status_code == 503
    assert "active.json cannot be read" in client.get("/readyz").json()["reasons"][0]
    assert client.post("/inspect", content=ODD, headers=JPEG).json()["code"] == "not_ready"


def test_a_part_that_failed_can_be_healed_by_another_version(start: StartClient, bundles: Path) -> None:
    graph = bundles / "bracket" / NEW / "inspector.onnx"
    graph.write_bytes(graph.read_bytes() + b"\0")
    client = start(bundles=bundles)
    assert client.get("/readyz").status_code == 503
    answer = client.post("/parts/bracket/activate", json={"version": OLD}).json()
    assert (answer["version"], answer["previous"]) == (OLD, None)
    assert client.get("/readyz").status_code == 200
    assert judge(client) == (OLD, "anomalous")


def test_a_state_folder_that_cannot_be_looked_into_is_named(
    start: StartClient, bundles: Path, tmp_path: Path
) -> None:
    client = start(bundles=bundles, state=tmp_path / ("x" * 300))  # no path may be so long, not even root's
    assert "active.json cannot be read" in client.get("/readyz").json()["reasons"][0]
    assert client.post("/inspect", content=ODD, headers=JPEG).json()["code"] == "not_ready"


def test_an_unforeseen_fault_of_the_loader_is_said_in_readiness(
    start: StartClient, bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise MemoryError("no memory is left")

    monkeypatch.setattr("models.bundle.survey_bundles", fail)
    readiness = start(bundles=bundles).get("/readyz")
    assert readiness.status_code == 503
    assert "no memory is left" in readiness.json()["reasons"][0]


def torn(bundles: Path, version: str = "20260103-000000") -> Path:
    """A newer bundle, whose manifest was cut off."""
    manifest = make_tiny_bundle(bundles, version=version) / "manifest.json"
    manifest.write_text(manifest.read_text()[:100])
    return manifest


def test_a_torn_newest_bundle_does_not_take_down_the_chosen_older_one(
    start: StartClient, bundles: Path, tmp_path: Path
) -> None:
    (tmp_path / "active.json").write_text(json.dumps({"bracket": OLD}))
    torn(bundles)
    client = start(bundles=bundles, state=tmp_path)
    assert client.get("/readyz").status_code == 200
    assert judge(client) == (OLD, "anomalous")


def test_a_part_whose_newest_bundle_is_torn_is_served_once_an_older_one_is_activated(
    start: StartClient, bundles: Path
) -> None:
    manifest = torn(bundles)
    client = start(bundles=bundles)
    assert str(manifest) in client.get("/readyz").json()["reasons"][0]
    refused = client.post("/parts/bracket/activate", json={"version": "20260103-000000"})
    assert (refused.status_code, refused.json()["code"]) == (409, "activation_failed")
    answer = client.post("/parts/bracket/activate", json={"version": OLD}).json()
    assert (answer["version"], answer["previous"]) == (OLD, None)
    assert client.get("/readyz").status_code == 200
    assert judge(client) == (OLD, "anomalous")


def test_a_torn_bundle_that_was_chosen_itself_is_named(
    start: StartClient, bundles: Path, tmp_path: Path
) -> None:
    (tmp_path / "active.json").write_text('{"bracket": "20260103-000000"}')
    manifest = torn(bundles)
    client = start(bundles=bundles, state=tmp_path)
    assert str(manifest) in client.get("/readyz").json()["reasons"][0]
    assert client.post("/inspect", content=ODD, headers=JPEG).json()["code"] == "not_ready"


def test_only_one_bundle_is_loaded_at_a_time(start: StartClient, bundles: Path) -> None:
    client = start(bundles=bundles)
    registry: Registry = client.app.state.registry
    with registry._changing:
        response = client.post("/parts/bracket/activate", json={"version": OLD})
    assert (response.status_code, response.json()["code"]) == (409, "activation_busy")
    assert client.post("/parts/bracket/activate", json={"version": OLD}).status_code == 200


@pytest.mark.parametrize(
    ("part", "version", "status", "code"),
    [
        ("bracket", "20250101-000000", 404, "unknown_version"),
        ("lid", OLD, 404, "unknown_part"),
        ("bracket", "../../etc", 422, "bad_field"),
        ("..%2Fbracket", OLD, 404, "not_found"),
    ],
)
def test_what_is_not_there_is_not_activated(
    start: StartClient, bundles: Path, part: str, version: str, status: int, code: str
) -> None:
    client = start(bundles=bundles)
    response = client.post(f"/parts/{part}/activate", json={"version": version})
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert judge(client) == (NEW, "clean")
