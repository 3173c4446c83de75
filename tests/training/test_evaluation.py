"""Evaluation: the service's own path over labelled photos, and the figures that come of it."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from models.errors import DatasetError
from models.inspector import Inspector
from models.quality import QualityGate, Range
from tests.tiny_bundle import (
    anomalous_photo,
    clean_photo,
    encode,
    make_tiny_bundle,
    scratched_photo,
    unmeasurable_photo,
)
from tests.training.photos import paint_folder, painted_sample, record_splits
from training.data.layouts import read_dataset
from training.evaluation import Evaluation, evaluate_bundle, inspect_samples, summarise
from training.evaluation_table import print_evaluation
from training.metrics import rate_interval
from training.summary import groups_remark


@pytest.fixture(scope="module")
def inspector(tiny_bundle: Path) -> Inspector:
    return Inspector.load(tiny_bundle, "cpu", threads=1)


def evaluate(photos: Path, bundle: Path, *, include_all: bool = False) -> Evaluation:
    return evaluate_bundle(photos, bundle, device="cpu", include_all=include_all, progress=False)


def test_answers_are_those_of_the_inspector_in_the_order_of_the_samples(inspector: Inspector, tmp_path: Path):
    dataset = read_dataset(paint_folder(tmp_path, {"good": 7, "scratched": 5}), progress=False)
    records = inspect_samples(inspector, dataset.samples, title="", progress=False)
    assert [record.sample for record in records] == list(dataset.samples)
    for record in records:
        expected, prepared, outputs = inspector.inspect(record.sample.path.read_bytes())
        changing = {"id", "timings_ms"}
        assert record.inspection.model_dump(exclude=changing) == expected.model_dump(exclude=changing)
        assert record.photo_map is not None
        assert record.photo_map.dtype == np.float16
        np.testing.assert_allclose(record.photo_map, inspector.photo_map(prepared, outputs), rtol=1e-3)


def test_the_progress_bar_goes_to_stderr(
    inspector: Inspector, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    dataset = read_dataset(paint_folder(tmp_path, {"good": 2}), progress=False)
    inspect_samples(inspector, dataset.samples, title="Looking closely", progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Looking closely" in captured.err


def test_an_inspector_that_is_always_right(inspector: Inspector, tmp_path: Path):
    photos = paint_folder(tmp_path, {"good": 6, "scratched": 4, "dent": 3}, masks=True)
    records = inspect_samples(
        inspector, read_dataset(photos, progress=False).samples, title="", progress=False
    )
    metrics = summarise(records)
    assert (metrics.n_good, metrics.n_defective, metrics.n_invalid, metrics.n_masks) == (6, 7, 0, 7)
    assert metrics.image_auroc.combined == 1.0
    assert (metrics.false_reject_rate, metrics.escape_rate) == (0.0, 0.0)
    assert metrics.escape_interval is not None
    assert metrics.escape_interval.high == pytest.approx(1 - 0.025 ** (1 / 7))
    assert metrics.pixel_auroc is not None
    assert metrics.pixel_auroc > 0.98
    assert metrics.aupro is not None
    assert metrics.aupro > 0.9


def test_figures_count_groups_of_alike_photos_once_and_say_so(inspector: Inspector, tmp_path: Path):
    photos = paint_folder(tmp_path, {"good": 6, "scratched": 4})
    samples = read_dataset(photos, progress=False).samples
    alone = summarise(inspect_samples(inspector, samples, title="", progress=False))
    paired = [replace(sample, group=f"{sample.label} {n // 2}") for n, sample in enumerate(samples)]
    alike = summarise(inspect_samples(inspector, paired, title="", progress=False))
    assert (alone.n_good_groups, alone.n_defective_groups) == (6, 4)
    assert (alike.n_good_groups, alike.n_defective_groups) == (3, 2)
    assert alike.false_reject_interval == rate_interval(0, 6, 3)
    assert alike.escape_interval == alike.per_class["scratched"].escape_interval == rate_interval(0, 4, 2)
    assert alike.cost.escapes is not None
    assert alone.cost.escapes is not None
    assert alike.cost.escapes.high > alone.cost.escapes.high
    assert groups_remark(alone) == ""
    assert "6 good photos as 3 and 4 defective photos as 2" in groups_remark(alike)


def test_the_table_says_where_photos_are_alike(tiny_bundle: Path, tmp_path: Path):
    photos = paint_folder(tmp_path / "photos", {"good": 4, "dent": 2})
    files = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))
    rows = [f"{file},{file.partition('/')[0]}" for file in files]
    (photos / "groups.csv").write_text("\n".join(["file,group", *rows]) + "\n")
    stream = StringIO()
    print_evaluation(evaluate(photos, tiny_bundle), Console(file=stream, width=120))
    assert "intervals count 4 good photos as 1 and 2 defective photos as 1" in stream.getvalue()


def test_classes_that_the_bundle_does_not_know_are_defects_all_the_same(inspector: Inspector, tmp_path: Path):
    photos = paint_folder(tmp_path, {"good": 2, "scratched": 2, "dent": 3})
    records = inspect_samples(
        inspector, read_dataset(photos, progress=False).samples, title="", progress=False
    )
    metrics = summarise(records)
    assert metrics.per_class["dent"].caught == 3
    assert metrics.per_class["dent"].named_right is None
    assert metrics.per_class["scratched"].named_right == 2
    assert metrics.confusion == {
        "clean": {"clean": 2},
        "dent": {"anomalous": 3},
        "scratched": {"scratched": 2},
    }


def test_wrong_calls_are_counted_on_their_side(inspector: Inspector, tmp_path: Path):
    samples = [
        painted_sample(tmp_path / "a.png", clean_photo(seed=1), "clean"),
        painted_sample(tmp_path / "b.png", scratched_photo(seed=1), "clean"),
        painted_sample(tmp_path / "c.png", clean_photo(seed=2), "scratched"),
        painted_sample(tmp_path / "d.png", anomalous_photo(seed=2), "scratched"),
        painted_sample(tmp_path / "e.png", scratched_photo(seed=2), "scratched"),
    ]
    metrics = summarise(inspect_samples(inspector, samples, title="", progress=False))
    assert metrics.false_reject_rate == 1 / 2
    assert metrics.escape_rate == 1 / 3
    scratched = metrics.per_class["scratched"]
    assert (scratched.n, scratched.caught, scratched.escaped, scratched.named_right) == (3, 2, 1, 1)


def test_photos_outside_the_quality_gate_are_counted_apart_and_never_as_clean(tmp_path: Path):
    gate = QualityGate(limits={"brightness": Range(low=0.4, high=0.6), "width": Range(low=100, high=200)})
    bundle = make_tiny_bundle(tmp_path / "bundles", quality=gate)
    photos = paint_folder(tmp_path / "photos", {"good": 4, "scratched": 2})
    for name, grey in (("good", 20), ("scratched", 21)):
        (photos / name / "dark.png").write_bytes(encode(np.full((160, 160, 3), grey, np.uint8)))
    (photos / "good" / "wide.png").write_bytes(encode(clean_photo((160, 300))))
    evaluation = evaluate(photos, bundle)
    metrics = evaluation.metrics
    assert (metrics.n_invalid, metrics.quality_refusals) == (3, {"brightness": 2, "width": 1})
    assert metrics.confusion["clean"] == {"clean": 4, "invalid": 2}
    assert metrics.confusion["scratched"] == {"scratched": 2, "invalid": 1}
    stream = StringIO()
    print_evaluation(evaluation, Console(file=stream, width=120))
    assert "outside the quality gate: brightness 2, width 1" in stream.getvalue()


def test_an_invalid_answer_is_never_a_pass_and_never_a_catch(inspector: Inspector, tmp_path: Path):
    samples = [
        painted_sample(tmp_path / "a.png", clean_photo(seed=1), "clean"),
        painted_sample(tmp_path / "b.png", unmeasurable_photo(), "clean"),
        painted_sample(tmp_path / "c.png", unmeasurable_photo(), "scratched"),
        painted_sample(tmp_path / "d.png", scratched_photo(seed=2), "scratched"),
    ]
    records = inspect_samples(inspector, samples, title="", progress=False)
    metrics = summarise(records)
    assert metrics.n_invalid == 2
    assert metrics.false_reject_rate == 1 / 2
    assert metrics.escape_rate == 0.0
    scratched = metrics.per_class["scratched"]
    assert (scratched.caught, scratched.escaped, scratched.invalid) == (1, 0, 1)
    assert metrics.image_auroc.combined == 1.0
    assert [record.photo_map is None for record in records] == [False, True, True, False]


def test_a_photo_that_the_service_would_refuse_is_invalid_with_the_reason(
    inspector: Inspector, tmp_path: Path
):
    sample = painted_sample(tmp_path / "a.png", clean_photo(), "clean")
    gone = replace(sample, path=tmp_path / "gone.png")
    (tmp_path / "cut.png").write_bytes(sample.path.read_bytes()[:200])
    cut = replace(sample, path=tmp_path / "cut.png")
    records = inspect_samples(inspector, [gone, cut, sample], title="", progress=False)
    assert [record.inspection.verdict for record in records] == ["invalid", "invalid", "clean"]
    assert "gone.png cannot be read" in records[0].inspection.review_reasons[0]
    assert "truncated" in records[1].inspection.review_reasons[0]


def test_pixel_figures_need_masks_that_mark_something(inspector: Inspector, tmp_path: Path):
    good = painted_sample(tmp_path / "a.png", clean_photo(), "clean")
    bad = painted_sample(tmp_path / "b.png", scratched_photo(), "scratched")
    (tmp_path / "empty_mask.png").write_bytes(encode(np.zeros((160, 160), dtype=np.uint8)))
    for sample in (bad, replace(bad, mask=tmp_path / "empty_mask.png")):
        metrics = summarise(inspect_samples(inspector, [good, sample], title="", progress=False))
        assert (metrics.pixel_auroc, metrics.aupro, metrics.n_masks) == (None, None, 0)


def test_a_bundle_without_defect_classes_has_no_classifier_figure(tmp_path: Path):
    bundle = make_tiny_bundle(tmp_path / "bundles", classes=("clean",))
    photos = paint_folder(tmp_path / "photos", {"good": 2, "dent": 2})
    auroc = evaluate(photos, bundle).metrics.image_auroc
    assert (auroc.classifier, auroc.anomaly, auroc.combined) == (None, 1.0, 1.0)


def test_nothing_measured_gives_no_figures():
    metrics = summarise([])
    assert (metrics.n_good, metrics.false_reject_rate, metrics.escape_rate) == (0, None, None)
    assert metrics.image_auroc.combined is None


@pytest.mark.parametrize(("split", "left_out"), [("train", 3), ("calibration", 3), ("test", 0)])
def test_photos_the_bundle_was_made_from_are_left_out_by_their_bytes(
    tmp_path: Path, split: str, left_out: int
):
    bundle = make_tiny_bundle(tmp_path / "bundles")
    photos = paint_folder(tmp_path / "photos", {"good": 5, "scratched": 2})
    good = [s for s in read_dataset(photos, progress=False).samples if s.label == "clean"]
    record_splits(bundle, good[:3], split)
    (photos / "good" / "good_00.png").rename(photos / "good" / "renamed.png")

    evaluation = evaluate(photos, bundle)
    assert evaluation.n_left_out == left_out
    assert evaluation.metrics.n_good == 5 - left_out

    everything = evaluate(photos, bundle, include_all=True)
    assert (everything.n_left_out, everything.n_seen) == (0, left_out)
    assert everything.metrics.n_good == 5


def test_photos_the_bundle_was_made_from_are_left_out_in_other_bytes_too(tmp_path: Path):
    bundle = make_tiny_bundle(tmp_path / "bundles")
    photos = paint_folder(tmp_path / "photos", {"good": 4})
    record_splits(bundle, read_dataset(photos, progress=False).samples[:1], "train")
    used = photos / "good" / "good_00.png"
    Image.open(used).save(used.with_suffix(".bmp"))
    used.unlink()

    evaluation = evaluate(photos, bundle)
    assert (evaluation.n_left_out, evaluation.metrics.n_good) == (1, 3)


def test_nothing_left_to_evaluate_on_is_refused_with_the_remedy(tmp_path: Path):
    bundle = make_tiny_bundle(tmp_path / "bundles")
    photos = paint_folder(tmp_path / "photos", {"good": 2})
    record_splits(bundle, read_dataset(photos, progress=False).samples, "train")
    with pytest.raises(DatasetError, match="2 were used to train or calibrate") as refusal:
        evaluate(photos, bundle)
    assert "--all" in refusal.value.remedy


def test_the_json_form_holds_the_promised_fields(tiny_bundle: Path, tmp_path: Path):
    photos = paint_folder(tmp_path, {"good": 3, "scratched": 2}, masks=True)
    (photos / "good" / "empty.jpg").write_bytes(b"")
    found = json.loads(json.dumps(evaluate(photos, tiny_bundle).as_json(), allow_nan=False))
    promised = {"n_good", "n_defective", "image_auroc", "pixel_auroc", "aupro", "false_reject_rate"}
    assert promised | {"escape_rate", "per_class"} <= set(found)
    assert set(found["image_auroc"]) == {"anomaly", "classifier", "combined"}
    assert found["bundle_version"] == "20260101-000000"
    assert [item["file"] for item in found["skipped"]] == ["good/empty.jpg"]


def test_the_table_says_what_was_measured_and_what_was_left_out(tmp_path: Path):
    bundle = make_tiny_bundle(tmp_path / "bundles")
    photos = paint_folder(tmp_path / "photos", {"good": 4, "dent": 2})
    (photos / "good" / "[red]odd.jpg").write_bytes(b"not a photo")
    record_splits(bundle, read_dataset(photos, progress=False).samples[-1:], "train")
    stream = StringIO()
    print_evaluation(evaluate(photos, bundle), Console(file=stream, width=120))
    printed = stream.getvalue()
    assert "class folders" in printed
    assert "1 more are left out" in printed
    assert "good/[red]odd.jpg" in printed
    assert "0 of 3 good" in printed
    assert "not a class of the bundle" in printed
