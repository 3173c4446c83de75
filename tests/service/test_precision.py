"""Which graph of a bundle a service and the commands run: chosen by the CPU, or asked for."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.bundle import Bundle
from models.cpu import read_cpu_features
from models.errors import PrecisionError
from models.inspector import Inspector
from models.manifest import Agreement
from models.session import CPU
from models.variants import choose_variant
from service.cli import app
from tests.int8_bundle import GAIN, make_int8_bundle
from tests.service.conftest import StartClient
from tests.service.forging import forge
from tests.tiny_bundle import anomalous_photo, encode

PHOTO = encode(anomalous_photo())
PNG = {"content-type": "image/png"}
AGREES = Agreement(photos=40, score=0.004, flips=0)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_int8_bundle(tmp_path / "bundles", AGREES)


def test_what_is_asked_for_runs_and_is_named(bundle: Path, start: StartClient) -> None:
    scores = {}
    for precision in ("fp32", "int8"):
        client = start(bundles=bundle.parents[1], precision=precision)
        status = client.get("/readyz").json()["parts"]["bracket"]
        assert (status["state"], status["precision"]) == ("ready", precision)
        assert status["precision_reason"] == "it was asked for"
        part = client.get("/parts").json()[0]
        assert (part["precision"], part["precision_reason"]) == (precision, "it was asked for")
        answer = client.post("/inspect", content=PHOTO, headers=PNG).json()
        assert answer["precision"] == precision
        scores[precision] = answer["anomaly"]["score"]
    assert scores["int8"] == pytest.approx(GAIN * scores["fp32"])


def test_unasked_the_cpu_decides_and_the_reason_is_said(bundle: Path, start: StartClient) -> None:
    expected = choose_variant(Bundle.open(bundle).manifest, "cpu", read_cpu_features())
    status = start(bundles=bundle.parents[1]).get("/readyz").json()["parts"]["bracket"]
    assert (status["precision"], status["precision_reason"]) == (expected.precision, expected.reason)


def test_a_precision_that_the_bundle_has_not_makes_the_part_fail(start: StartClient) -> None:
    client = start(precision="int8")
    response = client.get("/readyz")
    assert response.status_code == 503
    status = response.json()["parts"]["bracket"]
    assert status["state"] == "failed"
    assert "has no int8 graph, only fp32" in status["reason"]
    assert client.post("/inspect", content=PHOTO, headers=PNG).json()["verdict"] == "invalid"


def test_int8_has_golden_results_of_its_own(bundle: Path) -> None:
    inspector = Inspector.load(bundle, "cpu", threads=1, precision="int8")
    assert inspector.check_golden() == []
    for result in inspector.bundle.golden_results():
        assert result.of("int8").anomaly_score == pytest.approx(GAIN * result.anomaly_score)


def test_the_canary_watches_the_graph_that_runs(bundle: Path, start: StartClient) -> None:
    """Its own golden results are the measure: fp32's, which nobody runs, may be anything."""
    results = json.loads((bundle / "golden/expected.json").read_text())
    own = json.dumps(results[0]["variants"]["int8"]["anomaly_score"])
    forge(bundle, "golden/expected.json", f'"anomaly_score": {own}', '"anomaly_score": 0.25')
    reason = start(bundles=bundle.parents[1], precision="int8").get("/readyz").json()["reasons"][0]
    assert "golden photos differ" in reason
    assert start(bundles=bundle.parents[1], precision="fp32").get("/readyz").status_code == 200


def glint(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_verify_checks_every_graph(bundle: Path) -> None:
    code, told = glint("verify", bundle, "--device", "cpu")
    assert code == 0
    assert "3 golden photos give their recorded results in fp32" in told
    assert "3 golden photos give their recorded results in int8" in told
    code, told = glint("verify", bundle, "--device", "cpu", "--precision", "fp32")
    assert code == 0
    assert "int8" not in told


def test_verify_names_the_graph_that_differs(bundle: Path) -> None:
    results = json.loads((bundle / "golden/expected.json").read_text())
    own = json.dumps(results[0]["variants"]["int8"]["anomaly_score"])
    forge(bundle, "golden/expected.json", f'"anomaly_score": {own}', '"anomaly_score": 0.25')
    code, told = glint("verify", bundle, "--device", "cpu")
    assert code == 1
    assert "golden photos give their recorded results in fp32" in told
    assert "wrong int8: golden/" in told


def test_inspect_says_what_ran(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = tmp_path / "a.png"
    photo.write_bytes(PHOTO)
    arguments = ("inspect", photo, "--bundle", bundle, "--device", "cpu", "--json")
    assert json.loads(glint(*arguments, "--precision", "int8")[1])["precision"] == "int8"
    monkeypatch.setenv("GLINT_PRECISION", "fp32")
    assert json.loads(glint(*arguments)[1])["precision"] == "fp32"
    with pytest.raises(PrecisionError, match="no fp16 graph, only fp32, int8"):
        glint(*arguments, "--precision", "fp16")


def test_int8_that_is_asked_for_leaves_the_gpu_alone(bundle: Path) -> None:
    inspector = Inspector.load(bundle, "auto", threads=1, precision="int8")
    assert inspector.provider == CPU
    assert "int8 was asked for" in inspector.provider_fallback
    assert inspector.variant.precision == "int8"
