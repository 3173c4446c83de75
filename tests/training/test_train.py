"""`glint train` from photos to a bundle, whole or not at all."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import training.train
from models.bundle import Bundle
from models.errors import ExportError, UsageError
from models.inspector import Inspector
from models.manifest import check_part_name
from models.mean_part import read_mean
from models.networks.padim_config import PadimConfig
from models.quality import READING_NAMES
from tests.tiny_bundle import encode
from training.config import FinetuneConfig, TrainConfig
from training.evaluation import evaluate_bundle
from training.images import load_images
from training.packaging import BundleDraft
from training.rederive import plan_limits
from training.rendering.demo import render_parts
from training.targets import Targets
from training.train import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    render_parts(folder, good=30, scratched=12, size=(128, 160), progress=False)
    (folder / "good" / "cut_off.jpg").write_bytes(
        (folder / "good").glob("*.jpg").__next__().read_bytes()[:900]
    )
    return folder


def config(photos: Path, bundles: Path, **changes) -> TrainConfig:
    quick = FinetuneConfig(epochs=1, views=2, batch=8, epoch_samples=16)
    given = {
        "trunk": "none",
        "image_size": (64, 80),
        "int8": False,
        "padim": PadimConfig(dims=12),
        "finetune": quick,
    }
    return TrainConfig(photos=photos, part="bracket", bundles=bundles, progress=False, **{**given, **changes})


@pytest.fixture(scope="module")
def trained(photos: Path, tmp_path_factory):
    return train(config(photos, tmp_path_factory.mktemp("bundles")))


def test_bundle_is_complete_and_verifies(trained) -> None:
    bundle = Bundle.open(trained.bundle.path)
    names = set(bundle.manifest.files)
    assert {"inspector.onnx", "classifier.onnx", "padim.onnx", "report.html", "splits.json"} <= names
    assert sum(name.startswith("golden/") for name in names) == 5
    assert [path.name for path in bundle.path.parent.iterdir()] == [bundle.manifest.version]
    assert Inspector.load(bundle.path, "cpu").check_golden() == []


def test_the_mean_of_the_clean_training_photos_travels_with_the_bundle(trained) -> None:
    mean = read_mean(Bundle.open(trained.bundle.path))
    clean = [sample for sample in trained.split.train if sample.label == "clean"]
    expected = load_images(clean, trained.bundle.manifest.preprocessing, progress=False).mean(axis=0)
    assert np.abs(mean - expected).max() <= 0.5


def test_the_fp16_form_travels_with_how_far_it_is_from_fp32(trained) -> None:
    variant = trained.bundle.manifest.variants["fp16"]
    assert trained.bundle.file(variant.file).is_file()
    assert variant.agreement is not None
    assert variant.agreement.flips == 0
    assert 0.0 < variant.agreement.score <= 0.005
    assert variant.agreement.photos == trained.bundle.manifest.dataset.photos["calibration"]["clean"] + 2


def test_the_same_limits_are_chosen_again_from_the_scores_that_it_keeps(trained) -> None:
    manifest = trained.bundle.manifest
    plan = plan_limits(trained.bundle.path, Targets(0.01))
    assert plan.chosen.limits == manifest.limits
    assert plan.chosen.origins == manifest.limit_origins
    assert plan.before.model_dump(mode="json") == manifest.metrics
    assert list(plan.variants.values()) == [manifest.variants["fp16"]]


def test_what_was_not_asked_for_is_said(trained) -> None:
    manifest = trained.bundle.manifest
    assert "--no-int8" in manifest.left_out["int8"]
    assert "int8" not in manifest.variants
    assert manifest.training["int8"] is False


def test_manifest_says_where_everything_came_from(trained) -> None:
    manifest = trained.bundle.manifest
    assert manifest.classes == ["clean", "scratched"]
    assert (manifest.preprocessing.height, manifest.preprocessing.width) == (64, 80)
    assert manifest.grid == (8, 10)
    assert manifest.dataset.layout == trained.dataset.layout
    assert manifest.dataset.skipped == 1
    assert manifest.trunk.name == "random"
    assert manifest.agreement["photos"] >= 16
    assert "support" in manifest.limit_origins.anomaly.note, "six calibration photos cannot support 1 %"
    assert manifest.limits.doubt is not None
    assert manifest.limits.doubt.classifier is not None
    assert str(trained.dataset.root) not in manifest.model_dump_json(), "no path of this machine"


def test_the_quality_gate_lets_pass_every_photo_it_was_learnt_from(trained, photos: Path) -> None:
    manifest = trained.bundle.manifest
    assert manifest.quality is not None
    assert set(manifest.quality.limits) == set(READING_NAMES) - {"registration"}
    inspector = Inspector.load(trained.bundle.path, "cpu")
    learnt = {record.sha256 for record in trained.bundle.splits() if record.split != "test"}
    for sample in trained.dataset.samples:
        if sample.label == "clean" and sample.sha256 in learnt:
            assert all(reading.ok for reading in inspector.prepare(sample.path.read_bytes()).quality)
    answer, _, _ = inspector.inspect(encode(np.zeros((128, 160, 3), np.uint8)))
    assert answer.verdict == "invalid"


def test_the_manifest_keeps_what_the_limits_were_chosen_on(trained) -> None:
    manifest = trained.bundle.manifest
    reference = manifest.calibration
    assert reference is not None
    assert len(reference.anomaly_scores) == manifest.dataset.photos["calibration"]["clean"]
    assert reference.defect_probabilities is not None
    assert max(reference.anomaly_scores) < manifest.limits.anomaly
    assert set(reference.readings) == set(READING_NAMES) - {"registration"}


def test_with_too_few_photos_to_choose_parts_are_taken_to_lie_still_and_that_is_said(trained) -> None:
    alignment = trained.bundle.manifest.training["alignment"]
    assert (alignment["asked"], alignment["chosen"]) == ("auto", "fixed")
    assert "Only 6 clean calibration photos" in alignment["why"]
    assert alignment["why"] in (trained.bundle.path / "report.html").read_text(encoding="utf-8")


def test_splits_cover_every_photo_once(trained) -> None:
    records = trained.bundle.splits()
    assert {record.split for record in records} == {"train", "calibration", "test"}
    assert sorted(record.sha256 for record in records) == sorted(s.sha256 for s in trained.dataset.samples)


def test_evaluate_leaves_out_what_was_seen_and_agrees_with_the_report(trained, photos: Path) -> None:
    found = evaluate_bundle(photos, trained.bundle.path, device="cpu", include_all=False, progress=False)
    seen = [record for record in trained.bundle.splits() if record.split != "test"]
    assert found.n_left_out == len(seen)
    assert found.metrics == trained.metrics
    assert trained.bundle.manifest.metrics == json.loads(trained.metrics.model_dump_json())
    everything = evaluate_bundle(photos, trained.bundle.path, device="cpu", include_all=True, progress=False)
    assert everything.metrics.n_good == 30
    assert everything.metrics.n_defective == 12


@pytest.fixture(scope="module")
def again(trained, photos: Path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("again")
    return train(config(photos, folder, compare=trained.bundle.path, int8=True))


def test_same_seed_same_limits_and_figures(trained, again) -> None:
    assert again.bundle.manifest.limits == trained.bundle.manifest.limits
    assert again.metrics == trained.metrics


def test_the_bundle_keeps_how_it_compares_with_the_previous_one(trained, again) -> None:
    assert trained.comparison is None
    assert "comparison" not in trained.bundle.manifest.metrics
    figures = again.bundle.manifest.metrics["comparison"]
    assert figures["version"] == trained.bundle.manifest.version
    assert figures["n_photos"] == len(again.split.test)
    assert figures["before"] == figures["now"] == trained.metrics.model_dump(mode="json")
    assert figures["turned"] == []
    assert "both bundles give every one of these photos the same verdict" in (
        again.bundle.path / "report.html"
    ).read_text(encoding="utf-8")


def test_the_bundle_has_an_int8_graph_or_says_why_not(again) -> None:
    bundle = again.bundle
    manifest = bundle.manifest
    assert set(manifest.variants) | set(manifest.left_out) == {"fp32", "fp16", "int8"}
    assert set(manifest.variants).isdisjoint(manifest.left_out)
    recorded = {name for golden in bundle.golden_results() for name in golden.variants}
    assert recorded == set(manifest.variants) - {"fp32"}
    if "int8" in manifest.variants:
        assert Inspector.load(bundle.path, "cpu", precision="int8").check_golden() == []
        agreement = manifest.variants["int8"].agreement
        assert agreement is not None
        assert 0 < agreement.photos <= sum(manifest.dataset.photos["calibration"].values())
    else:
        assert "inspector.int8.onnx" not in manifest.files
        assert "allowed" in manifest.left_out["int8"] or "verdict" in manifest.left_out["int8"]


def test_without_defect_photos_padim_decides_alone(tmp_path: Path) -> None:
    render_parts(tmp_path / "photos", good=24, scratched=0, size=(96, 96), progress=False)
    done = train(config(tmp_path / "photos", tmp_path / "bundles", image_size=(64, 64), alignment="free"))
    assert done.bundle.manifest.classes == ["clean"]
    assert done.bundle.manifest.limits.classifier is None
    assert "classifier.onnx" not in done.bundle.manifest.files
    assert done.metrics.n_defective == 0
    assert done.metrics.escape_rate is None
    manifest = Bundle.open(done.bundle.path).manifest
    assert manifest.training["alignment"]["chosen"] == "free"
    assert manifest.agreement["inspector_score"] < 1e-3


def test_a_failure_leaves_nothing_behind(photos: Path, tmp_path: Path, monkeypatch) -> None:
    def fail(folder: Path, *_: object) -> None:
        (folder / "inspector.onnx").write_bytes(b"half of it")
        raise ExportError("The graph cannot be exported.", "Report this.")

    monkeypatch.setattr(training.train, "export_graphs", fail)
    with pytest.raises(ExportError):
        train(config(photos, tmp_path))
    assert list((tmp_path / "bundles" if (tmp_path / "bundles").exists() else tmp_path).rglob("*")) == [
        tmp_path / "bracket"
    ]


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 65, "späne"])
def test_odd_part_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="part"):
        check_part_name(name)


def test_two_bundles_of_one_second_get_names_of_their_own(tmp_path: Path) -> None:
    with BundleDraft(tmp_path, "bracket") as first, BundleDraft(tmp_path, "bracket") as second:
        assert first.folder != second.folder
    assert list((tmp_path / "bracket").iterdir()) == []


def test_command_line_names_the_fault_and_the_remedy(tmp_path: Path) -> None:
    render_parts(tmp_path / "few", good=5, scratched=0, size=(64, 64), progress=False)
    glint = Path(sys.executable).with_name("glint")
    command = [glint, "train", tmp_path / "few", "--part", "bracket", "--trunk", "none", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert "only 5 clean photos" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "bundles").exists()
