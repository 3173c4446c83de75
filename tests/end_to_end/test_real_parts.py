"""What the product does on real parts: minutes of training, so these run in CI and by `make real`."""

import json
from pathlib import Path

import pytest

from tests.end_to_end.product import assert_same_answers, evaluate, inspect, post, train
from tests.service.live import serving
from training.evaluation import evaluate_bundle

SHARED = Path(__file__).resolve().parents[3] / "shared"
TRUNK = SHARED / "weights" / "resnet50_imagenet.safetensors"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not TRUNK.is_file(), reason="the photos of real parts are not on this machine"),
]


@pytest.fixture(scope="module")
def nuts(tmp_path_factory) -> Path:
    return train(SHARED / "data" / "metal_nut", tmp_path_factory.mktemp("nuts"), "--trunk", TRUNK)


def test_nuts_are_told_apart(nuts: Path) -> None:
    figures = evaluate(SHARED / "data" / "metal_nut", nuts)
    assert figures["image_auroc"]["anomaly"] >= 0.97
    assert figures["image_auroc"]["combined"] >= figures["image_auroc"]["anomaly"] - 0.005
    assert figures["escape_rate"] <= 0.1
    assert figures["false_reject_rate"] <= 0.1


def test_a_hundred_nuts_over_http_as_from_files_and_in_evaluation(nuts: Path) -> None:
    photos = SHARED / "data" / "metal_nut"
    evaluation = evaluate_bundle(photos, nuts, device="cpu", include_all=True, progress=False)
    records = evaluation.records[::2][:100]
    files = [record.sample.path for record in records]
    with serving(nuts.parent.parent) as live:
        from_http = post(live, files)
    assert len(from_http) == 100
    assert_same_answers(inspect(files, nuts), from_http)
    assert_same_answers([json.loads(record.inspection.model_dump_json()) for record in records], from_http)


def test_tiles_split_by_group_with_figures_over_pixels(tmp_path: Path) -> None:
    photos = SHARED / "data" / "magnetic_tile"
    bundle = train(photos, tmp_path, "--trunk", TRUNK, "--epochs", 3)
    splits = json.loads((bundle / "splits.json").read_text())
    sides = {}
    for record in splits:
        sides.setdefault(record["group"], set()).add(record["split"])
    assert all(len(side) == 1 for side in sides.values()), "a group is on two sides of the split"
    figures = evaluate(photos, bundle)
    assert figures["image_auroc"]["anomaly"] >= 0.85
    assert figures["image_auroc"]["classifier"] >= 0.9
    assert figures["image_auroc"]["combined"] >= 0.9
    assert figures["pixel_auroc"] >= 0.75
    assert figures["aupro"] >= 0.5
    report = (bundle / "report.html").read_text()
    assert f"{figures['pixel_auroc']:.3f}" in report
    assert f"{figures['aupro']:.3f}" in report
