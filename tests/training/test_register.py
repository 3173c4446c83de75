"""`glint train --alignment register` from photos to verdicts: parts at any angle, and what is not one."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from models.bundle import Bundle
from models.errors import DatasetError
from models.inspector import Inspector
from models.mean_part import read_mean
from models.networks.padim_config import PadimConfig
from models.sight import TEMPLATE, Sight
from tests.tiny_bundle import encode
from tests.turned_bundle import turned_part
from training.config import FinetuneConfig, TrainConfig
from training.rendering.demo import render_parts
from training.train import Trained, train

# A whole training takes 20 s of CPU; `test_registering.py` and `test_sight.py` have what can be seen in less.
pytestmark = pytest.mark.real


def config(photos: Path, bundles: Path, **changes: object) -> TrainConfig:
    given = {
        "trunk": "none",
        "image_size": (96, 96),
        "int8": False,
        "padim": PadimConfig(dims=8),
        "finetune": FinetuneConfig("head", epochs=1, views=1, readout_views=1),
        "alignment": "register",
    }
    return TrainConfig(photos=photos, part="bracket", bundles=bundles, progress=False, **{**given, **changes})


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    render_parts(folder, good=26, scratched=0, size=(128, 128), turned=True, progress=False)
    return folder


@pytest.fixture(scope="module")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """With a photo among the good ones that shows another part."""
    mixed = tmp_path_factory.mktemp("mixed") / "photos"
    shutil.copytree(photos, mixed)
    (mixed / "good" / "stray.png").write_bytes(encode(turned_part(10.0, size=(128, 128))))
    return train(config(mixed, tmp_path_factory.mktemp("bundles")))


def test_the_bundle_holds_its_template_and_says_so(trained: Trained) -> None:
    bundle = Bundle.open(trained.bundle.path)
    manifest = bundle.manifest
    assert manifest.registration is not None
    assert manifest.registration.file == TEMPLATE
    assert manifest.quality is not None
    assert 0.4 < manifest.quality.limits["registration"].low < 0.95
    assert manifest.preprocessing.max_stretch == 1.0
    alignment = manifest.training["alignment"]
    assert (alignment["asked"], alignment["chosen"]) == ("register", "register")
    report = (bundle.path / "report.html").read_text(encoding="utf-8")
    assert "laid on a template" in report
    assert manifest.calibration is not None
    assert min(manifest.calibration.readings["registration"]) > 0.7


def test_what_is_learnt_is_what_is_served(trained: Trained) -> None:
    inspector = Inspector.load(trained.bundle.path, "cpu", threads=1)
    assert inspector.check_golden() == []
    sight = Sight.of(inspector.bundle)
    assert sight.template is not None
    # The mean of the training photos is sharp only where they were laid on the template first.
    mean = read_mean(inspector.bundle)
    assert mean is not None
    assert np.abs(mean.astype(int) - sight.template.picture).mean() < 4.0


def test_a_stray_among_the_clean_photos_is_left_out_and_named_or_judged_invalid(trained: Trained) -> None:
    names = {skipped.name for skipped in trained.dataset.skipped}
    tested = {sample.name for sample in trained.split.test}
    assert "good/stray.png" in names | tested
    inspector = Inspector.load(trained.bundle.path, "cpu", threads=1)
    answer, _, _ = inspector.inspect(encode(turned_part(77.0, size=(128, 128))))
    assert answer.verdict == "invalid"
    assert any(reason.startswith("registration ") for reason in answer.review_reasons)


def test_turned_parts_get_a_verdict(photos: Path, trained: Trained) -> None:
    inspector = Inspector.load(trained.bundle.path, "cpu", threads=1)
    for path in sorted((photos / "good").glob("*.jpg"))[:8]:
        answer, prepared, _ = inspector.inspect(path.read_bytes())
        assert answer.verdict != "invalid", answer.review_reasons
        assert prepared.place.pose is not None


def test_parts_that_cannot_be_laid_on_one_another_end_the_training(photos: Path, tmp_path: Path) -> None:
    other = tmp_path / "photos" / "good"
    shutil.copytree(photos / "good", other)
    for number in range(20):
        (other / f"l_{number}.png").write_bytes(encode(turned_part(17.0 * number, size=(128, 128))))
    with pytest.raises(DatasetError, match="--alignment register") as refused:
        train(config(tmp_path / "photos", tmp_path / "bundles"))
    assert "--alignment free" in str(refused.value)
    assert not list((tmp_path / "bundles").rglob("manifest.json"))
