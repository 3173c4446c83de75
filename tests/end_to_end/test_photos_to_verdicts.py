"""From a folder of photos to verdicts over HTTP, by the commands of the README."""

import json
from pathlib import Path

import pytest

from tests.end_to_end.product import assert_same_answers, evaluate, glint, inspect, post, train
from tests.service.live import serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("work") / "photos"
    glint("render", folder, "--good", 40, "--scratched", 12, "--quiet")
    return folder


@pytest.fixture(scope="module")
def bundle(photos: Path, tmp_path_factory) -> Path:
    options = ("--trunk", "none", "--image-size", "96x96", "--dims", 20, "--epochs", 1, "--no-int8")
    return train(photos, tmp_path_factory.mktemp("bundles"), *options)


def test_service_inspect_and_evaluate_say_the_same(photos: Path, bundle: Path) -> None:
    splits = json.loads((bundle / "splits.json").read_text())
    tested = [record for record in splits if record["split"] == "test"]
    files = [photos / record["file"] for record in tested]
    from_files = inspect(files, bundle)
    with serving(bundle.parent.parent) as live:
        from_http = post(live, files)
    assert_same_answers(from_files, from_http)

    figures = evaluate(photos, bundle)
    rejected = [answer["verdict"] != "clean" for answer in from_http]
    good = [record["label"] == "clean" for record in tested]
    assert figures["n_good"] == sum(good)
    assert figures["n_defective"] == len(good) - sum(good)
    assert figures["n_left_out"] == len(splits) - len(tested)
    false_rejects = sum(r and g for r, g in zip(rejected, good, strict=True))
    assert figures["false_reject_rate"] == pytest.approx(false_rejects / sum(good))
    assert set(figures["image_auroc"]) == {"anomaly", "classifier", "combined"}
    assert figures["pixel_auroc"] is not None, "rendered parts come with masks"
    assert figures["aupro"] is not None


def test_the_bundle_verifies_until_it_is_altered(bundle: Path, tmp_path: Path) -> None:
    assert "golden" in glint("verify", bundle, "--device", "cpu").lower()
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in bundle.rglob("*"):
        target = copy / path.relative_to(bundle)
        if path.is_dir():
            target.mkdir()
        else:
            target.write_bytes(path.read_bytes())
    report = copy / "report.html"
    report.write_text(report.read_text() + " ")
    with pytest.raises(AssertionError, match=r"report\.html"):
        glint("verify", copy, "--device", "cpu")


def test_overlays_are_left_to_look_at(photos: Path, bundle: Path, tmp_path: Path) -> None:
    photo = next((photos / "scratched").iterdir())
    glint("inspect", photo, "--bundle", bundle, "--overlays", tmp_path / "out", "--device", "cpu")
    (overlay,) = (tmp_path / "out").iterdir()
    assert overlay.read_bytes().startswith(b"\xff\xd8")
