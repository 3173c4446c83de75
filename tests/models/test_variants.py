"""Which graph of a bundle runs, and why, on devices and CPUs that need not be there."""

from pathlib import Path

import pytest

from models.bundle import Bundle
from models.cpu import CpuFeatures, read_cpu_features
from models.errors import PrecisionError
from models.manifest import Agreement, Manifest, Variant
from models.variants import choose_variant, describe, why_not

AVX2 = CpuFeatures(frozenset({"sse4_1", "avx", "avx2"}))
VNNI = CpuFeatures(frozenset({"avx2", "avx512f", "avx512_vnni"}))
AGREES = Agreement(photos=54, score=0.0042, flips=0)


@pytest.fixture
def plain(tiny_bundle: Path) -> Manifest:
    return Bundle.open(tiny_bundle).manifest


def with_variant(plain: Manifest, precision: str, agreement: Agreement | None, **more: object) -> Manifest:
    """The manifest of a bundle that has one more graph."""
    file = f"inspector.{precision}.onnx"
    raw = plain.model_dump()
    raw["variants"][precision] = Variant(file=file, precision=precision, agreement=agreement).model_dump()
    raw["files"][file] = "0" * 64
    return Manifest.model_validate(raw | more)


@pytest.mark.parametrize(
    ("flag", "named"), [("avx512_vnni", "AVX-512 VNNI"), ("avx_vnni", "AVX-VNNI"), ("amx_int8", "AMX")]
)
def test_int8_runs_where_the_cpu_has_instructions_for_it(plain: Manifest, flag: str, named: str) -> None:
    choice = choose_variant(with_variant(plain, "int8", AGREES), "cpu", CpuFeatures(frozenset({flag})))
    assert (choice.precision, choice.file) == ("int8", "inspector.int8.onnx")
    assert named in choice.reason


def test_without_them_fp32_runs(plain: Manifest) -> None:
    manifest = with_variant(plain, "int8", AGREES)
    choice = choose_variant(manifest, "cpu", AVX2)
    assert (choice.precision, choice.file) == ("fp32", "inspector.onnx")
    assert "VNNI" in choice.reason
    unknown = choose_variant(manifest, "cpu", CpuFeatures(None))
    assert unknown.precision == "fp32"
    assert "not known" in unknown.reason


@pytest.mark.parametrize(
    ("agreement", "reason"),
    [
        (None, "never compared"),
        (Agreement(photos=0, score=0.0, flips=0), "never compared"),
        (Agreement(photos=54, score=0.0101, flips=0), "up to 0.0101"),
        (Agreement(photos=54, score=float("nan"), flips=0), "up to nan"),
        (Agreement(photos=54, score=0.001, flips=1), "1 of 54 photos"),
    ],
)
def test_what_does_not_agree_with_fp32_is_not_taken_unasked(
    plain: Manifest, agreement: Agreement | None, reason: str
) -> None:
    choice = choose_variant(with_variant(plain, "int8", agreement), "cpu", VNNI)
    assert choice.precision == "fp32"
    assert reason in choice.reason


def test_the_tolerance_itself_is_allowed(plain: Manifest) -> None:
    just = Agreement(photos=54, score=0.01, flips=0)
    assert choose_variant(with_variant(plain, "int8", just), "cpu", VNNI).precision == "int8"
    just = Agreement(photos=16, score=0.005, flips=0)
    assert choose_variant(with_variant(plain, "fp16", just), "cuda", AVX2).precision == "fp16"
    more = Agreement(photos=16, score=0.006, flips=0)
    assert choose_variant(with_variant(plain, "fp16", more), "cuda", AVX2).precision == "fp32"


def test_a_gpu_takes_fp16_and_never_int8(plain: Manifest) -> None:
    manifest = with_variant(plain, "int8", AGREES)
    assert choose_variant(manifest, "cuda", VNNI).precision == "fp32"
    assert choose_variant(with_variant(manifest, "fp16", AGREES), "cuda", AVX2).precision == "fp16"
    with pytest.raises(PrecisionError, match="CPUs only"):
        choose_variant(manifest, "cuda", VNNI, "int8")


def test_what_training_left_out_is_given_as_the_reason(plain: Manifest) -> None:
    manifest = plain.model_copy(update={"left_out": {"int8": "scores differ by up to 0.0300"}})
    assert "no int8 graph (scores differ by up to 0.0300)" in choose_variant(manifest, "cpu", VNNI).reason
    with pytest.raises(PrecisionError, match=r"no int8 graph, only fp32 \(scores differ") as caught:
        choose_variant(manifest, "cpu", VNNI, "int8")
    assert "--precision auto" in caught.value.remedy


def test_what_is_asked_for_runs_whether_or_not_it_agrees(plain: Manifest) -> None:
    bad = Agreement(photos=54, score=0.3, flips=9)
    manifest = with_variant(with_variant(plain, "int8", bad), "fp16", bad)
    for wanted in ("int8", "fp32", "fp16"):
        choice = choose_variant(manifest, "cpu", AVX2, wanted)
        assert (choice.precision, choice.reason) == (wanted, "it was asked for")


def test_how_far_a_graph_is_from_fp32_is_said_in_words() -> None:
    variant = Variant(file="inspector.int8.onnx", precision="int8", agreement=AGREES)
    assert describe(variant) == "scores within 0.0042 of fp32 on 54 photos, no verdict turned"
    assert why_not(variant) == ""
    assert why_not(Variant(file="inspector.onnx", precision="fp32")) == ""


def test_a_variant_must_be_called_what_it_is(plain: Manifest) -> None:
    raw = plain.model_dump()
    raw["variants"]["int8"] = raw["variants"]["fp32"]
    with pytest.raises(ValueError, match="named after their precision: int8"):
        Manifest.model_validate(raw)


def test_the_cpu_is_read_from_linux(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx2 avx512f avx512_vnni\n\n")
    features = read_cpu_features(cpuinfo)
    assert features.int8 == "AVX-512 VNNI"
    assert str(features) == "avx2, avx512f, avx512_vnni"
    assert read_cpu_features(tmp_path / "missing") == CpuFeatures(None)
    cpuinfo.write_text("nothing of the kind\n")
    assert read_cpu_features(cpuinfo) == CpuFeatures(None)
    assert str(CpuFeatures(None)) == "unknown"
    assert CpuFeatures(None).int8 == ""
