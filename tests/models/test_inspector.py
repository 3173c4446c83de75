"""The whole path with a real small graph: photo in, verdict, regions and overlay out."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from models.answer import describe
from models.bundle import GOLDEN_RESULTS, MANIFEST, Bundle, GoldenResult, sha256_of_file, write_manifest
from models.decision import Limits
from models.errors import BundleError, PhotoError
from models.inspector import Inspector
from models.manifest import Manifest
from models.preprocessing import Preprocessing
from models.session import open_session
from tests.fresh import HEAVY, modules_after
from tests.tiny_bundle import (
    anomalous_photo,
    clean_photo,
    encode,
    make_tiny_bundle,
    scratched_photo,
    tiny_graph,
    unmeasurable_photo,
)


@pytest.fixture(scope="module")
def inspector(tiny_bundle: Path) -> Inspector:
    return Inspector.load(tiny_bundle, "cpu", threads=1)


def altered(inspector: Inspector, **changes: object) -> Inspector:
    """The same graph under a manifest with other values."""
    raw = {**inspector.manifest.model_dump(), **changes}
    opened = open_session(inspector.bundle.file("inspector.onnx"), "cpu", threads=1)
    return Inspector(replace(inspector.bundle, manifest=Manifest.model_validate(raw)), opened)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize(
    ("paint", "verdict", "rules"),
    [
        (clean_photo, "clean", []),
        (scratched_photo, "scratched", ["classifier", "anomaly"]),
        (anomalous_photo, "anomalous", ["anomaly"]),
    ],
)
def test_verdicts(
    inspector: Inspector, paint: Callable[[], np.ndarray], verdict: str, rules: list[str], suffix: str
) -> None:
    answer, prepared, _ = inspector.inspect(encode(paint(), suffix))
    assert (answer.verdict, answer.rules) == (verdict, rules)
    assert answer.score is not None
    assert (answer.score >= 0.5) == (verdict != "clean")
    assert bool(answer.regions) == ("anomaly" in rules)
    assert sum(answer.classifier.probabilities.values()) == pytest.approx(1.0, abs=1e-5)
    assert answer.image.sha256 == prepared.photo.sha256
    assert (answer.part, answer.provider) == ("bracket", "CPUExecutionProvider")
    assert set(answer.timings_ms) == {"decode", "resize", "quality", "inference", "decide"}
    assert json.loads(json.dumps(describe(answer)))["verdict"] == verdict


@pytest.mark.parametrize("size", [(160, 160), (480, 640), (300, 900), (900, 300), (40, 40)])
def test_regions_are_in_pixels_of_the_photo(inspector: Inspector, size: tuple[int, int]) -> None:
    answer, prepared, _ = inspector.inspect(encode(anomalous_photo(size)))
    box, (height, width) = answer.regions[0].box, size
    cell_y, cell_x = 8 * height / prepared.place.height, 8 * width / prepared.place.width
    assert box.x == pytest.approx(0.6 * width, abs=1.5 * cell_x + 1)
    assert box.y == pytest.approx(0.6 * height, abs=1.5 * cell_y + 1)
    assert box.x + box.width == pytest.approx(0.85 * width, abs=1.5 * cell_x + 1)
    assert box.y + box.height == pytest.approx(0.85 * height, abs=1.5 * cell_y + 1)
    assert answer.image.letterboxed == (max(size) / min(size) > 1.2)


def test_a_photo_exactly_at_the_anomaly_limit_has_a_region_and_a_contour(inspector: Inspector) -> None:
    data = encode(anomalous_photo((700, 700)))
    _, _, outputs = inspector.inspect(data)
    limit = outputs.anomaly_score
    strict = altered(
        inspector,
        limits=Limits(classifier=0.5, anomaly=limit).model_dump(),
        heatmap={"start": 0.99 * limit, "limit": limit, "top": 2 * limit},
    )
    answer, prepared, outputs = strict.inspect(data)
    assert answer.verdict == "anomalous"
    assert len(answer.regions) == 1
    assert (strict.overlay(prepared, outputs) != prepared.photo.pixels).any()


def test_the_overlay_colours_the_defect_and_leaves_a_clean_photo_alone(inspector: Inspector) -> None:
    _, prepared, outputs = inspector.inspect(encode(clean_photo()))
    np.testing.assert_array_equal(inspector.overlay(prepared, outputs), prepared.photo.pixels)
    _, prepared, outputs = inspector.inspect(encode(anomalous_photo()))
    touched = (inspector.overlay(prepared, outputs) != prepared.photo.pixels).any(axis=2)
    assert touched[106:126, 106:126].all()
    assert not touched[:70].any()
    assert not touched[:, :70].any()


def test_a_photo_gives_the_same_alone_and_in_a_batch_of_eight(inspector: Inspector) -> None:
    paints = [clean_photo, scratched_photo, anomalous_photo, clean_photo] * 2
    prepared = [inspector.prepare(encode(paint(seed=seed))) for seed, paint in enumerate(paints)]
    together = inspector.run(np.stack([item.tensor for item in prepared]))
    for item, in_batch in zip(prepared, together, strict=True):
        (alone,) = inspector.run(item.tensor[None])
        np.testing.assert_allclose(in_batch.probabilities, alone.probabilities, atol=1e-6)
        np.testing.assert_allclose(in_batch.anomaly_map, alone.anomaly_map, rtol=1e-5)
        assert in_batch.anomaly_score == pytest.approx(alone.anomaly_score, rel=1e-5)
        first, second = inspector.answer(item, in_batch), inspector.answer(item, alone)
        assert first.verdict == second.verdict
        assert first.regions == second.regions


def test_a_graph_that_gives_nan_gives_invalid_never_clean(inspector: Inspector) -> None:
    answer, _, outputs = inspector.inspect(encode(unmeasurable_photo()))
    assert np.isnan(outputs.anomaly_score)
    assert (answer.verdict, answer.score, answer.regions, answer.rules) == ("invalid", None, [], [])
    assert answer.anomaly.score is None
    assert answer.needs_review
    assert "NaN" not in json.dumps(describe(answer))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_place_in_the_map_or_a_bad_probability_is_invalid(inspector: Inspector, bad: float) -> None:
    _, prepared, outputs = inspector.inspect(encode(clean_photo()))
    anomaly_map = outputs.anomaly_map.copy()
    anomaly_map[0, 0] = bad
    assert inspector.answer(prepared, replace(outputs, anomaly_map=anomaly_map)).verdict == "invalid"
    probabilities = np.array([bad, 0.0], np.float32)
    assert inspector.answer(prepared, replace(outputs, probabilities=probabilities)).verdict == "invalid"


def test_photos_that_cannot_be_inspected_are_refused(inspector: Inspector) -> None:
    with pytest.raises(PhotoError):
        inspector.inspect(encode(clean_photo(), ".jpg")[:900])


def test_a_model_without_defect_classes_knows_clean_and_anomalous(tmp_path: Path) -> None:
    path = make_tiny_bundle(tmp_path, classes=["clean"])
    inspector = Inspector.load(path, "cpu", threads=1)
    assert inspector.inspect(encode(clean_photo()))[0].verdict == "clean"
    answer = inspector.inspect(encode(scratched_photo()))[0]
    assert (answer.verdict, answer.rules) == ("anomalous", ["anomaly"])
    assert answer.classifier.limit is None
    assert answer.classifier.defect_probability is None


def test_the_golden_photos_give_their_recorded_results(inspector: Inspector) -> None:
    assert inspector.check_golden() == []


def test_altered_limits_fail_the_golden_check(inspector: Inspector) -> None:
    lax = altered(inspector, limits=Limits(classifier=1.0, anomaly=100.0).model_dump())
    differences = lax.check_golden()
    assert any("clean instead of anomalous" in difference for difference in differences)
    slightly = altered(inspector, limits=Limits(classifier=0.5, anomaly=3.3).model_dump())
    assert any("score" in difference for difference in slightly.check_golden())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"anomaly_score": 1e3}, "anomaly score"),
        ({"probabilities": [0.3, 0.7]}, "probabilities"),
        ({"probabilities": [1.0]}, "probabilities"),
        ({"score": 0.9}, "score"),
        ({"verdict": "bent"}, "instead of bent"),
    ],
)
def test_each_recorded_value_counts(
    tiny_bundle: Path, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    path = Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))
    bundle = Bundle.open(path)
    records = [result.model_copy(update=change) for result in bundle.golden_results()[:1]]
    record_golden(path, bundle.manifest, records)
    (difference,) = Inspector.load(path, "cpu", threads=1).check_golden()
    assert said in difference


def test_a_bundle_without_golden_photos_does_not_pass(tiny_bundle: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))
    record_golden(path, Bundle.open(path).manifest, [])
    assert Inspector.load(path, "cpu", threads=1).check_golden()


def record_golden(path: Path, manifest: Manifest, records: list[GoldenResult]) -> None:
    """Replace the golden results of a bundle, checksum included."""
    (path / GOLDEN_RESULTS).write_text(json.dumps([record.model_dump() for record in records]))
    files = {**manifest.files, GOLDEN_RESULTS: sha256_of_file(path / GOLDEN_RESULTS)}
    write_manifest(path, manifest.model_copy(update={"files": files}))


def test_a_graph_of_another_input_size_is_refused(inspector: Inspector) -> None:
    with pytest.raises(BundleError, match=r"64.*96"):
        altered(inspector, preprocessing=Preprocessing(height=96, width=64).model_dump())


def test_a_graph_with_other_classes_is_refused(inspector: Inspector) -> None:
    with pytest.raises(BundleError, match="3 classes"):
        altered(inspector, classes=["clean", "scratched", "bent"])


def test_a_graph_without_the_three_outputs_is_refused(inspector: Inspector, tmp_path: Path) -> None:
    model = tiny_graph(2, (64, 64))
    del model.graph.output[1]
    onnx.save(model, tmp_path / "two.onnx")
    with pytest.raises(BundleError, match="anomaly_map"):
        Inspector(inspector.bundle, open_session(tmp_path / "two.onnx", "cpu", threads=1))


def test_an_altered_bundle_is_not_loaded(tiny_bundle: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))
    with (path / "inspector.onnx").open("ab") as stream:
        stream.write(b"\0")
    assert (path / MANIFEST).is_file()
    with pytest.raises(BundleError, match="altered"):
        Inspector.load(path, "cpu", threads=1)


def test_importing_the_inspector_loads_nothing_that_only_training_needs() -> None:
    assert modules_after("import models.inspector, models.cli") & HEAVY == set()
