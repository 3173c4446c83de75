"""What the benchmarks write names the graph that ran, and comes from enough rounds."""

import sys
from pathlib import Path

import pytest

from models.bundle import Bundle
from models.inspector import Inspector
from tests.benchmarks import padim_fit, request_profile, service_throughput, straightforward_stack
from tests.benchmarks.gpu import origin_of
from tests.int8_bundle import make_int8_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_int8_bundle(tmp_path_factory.mktemp("bundles"))


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_the_text_names_the_precision_that_ran(bundle: Path, precision: str) -> None:
    inspector = Inspector.load(bundle, "cpu", 1, precision=precision)
    for text in (
        service_throughput.head_text(inspector, "bracket"),
        request_profile.head_text(inspector, 100),
        straightforward_stack.head_text(inspector, "2 photos", 3, 6.0),
    ):
        assert f"64 x 64 px, {precision}" in text
        assert ({"int8", "fp32"} - {precision}).pop() not in text


def test_one_round_is_not_written_into_the_documentation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["padim_fit", "--rounds", "1"])
    with pytest.raises(SystemExit):
        padim_fit.arguments()
    assert "no fewer than --rounds 2" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["padim_fit", "--rounds", "1", "--no-write"])
    assert padim_fit.arguments().rounds == 1
    monkeypatch.setattr(sys, "argv", ["padim_fit"])
    assert padim_fit.arguments().rounds == 2


def test_a_graph_that_was_made_for_the_run_is_not_shown_as_the_bundles_own(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    assert origin_of(opened.file("inspector.int8.onnx"), opened) == "`inspector.int8.onnx`"
    assert "made from `inspector.onnx`" in origin_of(bundle.parent / "inspector.int8.onnx", opened)
