"""`glint train --synthetic-defects`: a classifier without one photo of a defect, and nothing else changes."""

from pathlib import Path

import pytest

from models.bundle import Bundle
from models.errors import DatasetError
from models.inspector import Inspector
from models.networks.padim import PadimFit
from models.networks.padim_config import PadimConfig
from models.scores import read_photo_scores
from training.config import FinetuneConfig, TrainConfig
from training.rendering.demo import render_parts
from training.synthetic.kinds import SyntheticConfig
from training.train import Trained, train

# A whole training takes 20 s of CPU; `test_learning.py` has what can be seen of it in less.
pytestmark = pytest.mark.real

N_GOOD = 22


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    render_parts(folder, good=N_GOOD, scratched=0, size=(96, 96), progress=False)
    return folder


def config(photos: Path, bundles: Path, synthetic: SyntheticConfig) -> TrainConfig:
    return TrainConfig(
        photos=photos,
        part="bracket",
        bundles=bundles,
        trunk="none",
        image_size=(64, 64),
        int8=False,
        padim=PadimConfig(dims=8),
        finetune=FinetuneConfig("head", views=2, readout_views=1),
        synthetic=synthetic,
        progress=False,
    )


@pytest.fixture(scope="module")
def fitted() -> list[int]:
    """How many photos PaDiM was given at a time."""
    return []


@pytest.fixture(scope="module")
def trained(photos: Path, fitted: list[int], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    add = PadimFit.add

    def note(self: PadimFit, layers) -> None:
        fitted.append(len(layers[0]))
        add(self, layers)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PadimFit, "add", note)
        synthetic = SyntheticConfig(12, ("scratch", "stain"), (("stain", "smudged"),))
        return train(config(photos, tmp_path_factory.mktemp("bundles"), synthetic))


def test_there_is_a_classifier_without_one_photo_of_a_defect(trained: Trained) -> None:
    bundle = Bundle.open(trained.bundle.path)
    assert bundle.manifest.classes == ["clean", "scratch", "smudged"]
    assert bundle.manifest.limits.classifier is not None
    assert Inspector.load(bundle.path, "cpu").check_golden() == []


def test_the_manifest_and_the_report_say_what_was_painted(trained: Trained) -> None:
    told = trained.bundle.manifest.training
    assert told["synthetic"] == {
        "photos": 12,
        "kinds": ["scratch", "stain"],
        "classes": {"stain": "smudged"},
    }
    assert told["painted"]["train"] == {"scratch": 6, "smudged": 6}
    assert set(told["painted"]["calibration"]) == {"scratch", "smudged"}
    report = (trained.bundle.path / "report.html").read_text(encoding="utf-8")
    assert "Painted defects" in report
    assert report.count('alt="painted scratch on good/') == 6
    assert "no real photo of\nscratch, smudged was held out" in report


def test_no_painted_photo_is_tested_or_counted_or_sets_a_limit(trained: Trained) -> None:
    manifest, real = trained.bundle.manifest, {sample.sha256 for sample in trained.dataset.samples}
    assert {record.sha256 for record in trained.bundle.splits()} == real
    assert len(real) == N_GOOD
    assert manifest.dataset.photos == trained.split.counts()
    assert all(set(counts) == {"clean"} for counts in manifest.dataset.photos.values())
    assert trained.metrics.n_defective == 0
    assert trained.metrics.n_good == len(trained.split.test)
    for origin in (manifest.limit_origins.classifier, manifest.limit_origins.anomaly):
        assert origin is not None
        assert (origin.n_good, origin.n_defective) == (len(trained.split.calibration), 0)
    recorded = read_photo_scores(trained.bundle)
    assert len(recorded) == len(trained.split.calibration) + len(trained.split.test)


def test_padim_is_fitted_on_real_clean_photos_alone(trained: Trained, fitted: list[int]) -> None:
    assert sum(fitted) == len(trained.split.train)


def test_two_classes_that_a_painted_scratch_could_join_are_refused_before_training(tmp_path: Path) -> None:
    photos, bundles = tmp_path / "photos", tmp_path / "bundles"
    render_parts(photos, good=20, scratched=3, size=(32, 32), progress=False)
    (photos / "scratch_deep").mkdir()
    for index in range(3):
        (photos / "scratched" / f"part_{index:03d}.jpg").rename(photos / "scratch_deep" / f"{index}.jpg")
    render_parts(photos, good=20, scratched=3, size=(40, 32), seed=1, progress=False)
    with pytest.raises(DatasetError, match="scratch_deep, scratched"):
        train(config(photos, bundles, SyntheticConfig(12)))
    assert not bundles.exists()
