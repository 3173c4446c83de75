"""Which photos travel with a bundle as its proof."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from models.bundle import GOLDEN_RESULTS, Bundle
from models.errors import BundleError
from models.inspector import Inspector
from models.precision import Precision
from models.session import open_session
from models.variants import Choice
from tests.tiny_bundle import anomalous_photo, clean_photo, scratched_photo
from tests.training.photos import painted_sample
from training.evaluation import Record, inspect_samples
from training.golden import write_golden


@pytest.fixture(scope="module")
def records(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """Two photos of each kind, named after what they show, and one of each kind with the wrong label."""
    folder = tmp_path_factory.mktemp("photos")
    samples = [
        painted_sample(folder / "fair_0.png", clean_photo(seed=1), "clean"),
        painted_sample(folder / "fair_1.png", clean_photo(seed=2), "clean"),
        painted_sample(folder / "misnamed_dent.png", anomalous_photo(seed=3), "clean"),
        painted_sample(folder / "scratch_0.png", scratched_photo(seed=4), "scratched"),
        painted_sample(folder / "scratch_1.png", scratched_photo(seed=5), "scratched"),
        painted_sample(folder / "misnamed_fair.png", clean_photo(seed=6), "scratched"),
    ]
    inspector = Inspector.load(tiny_bundle, "cpu", threads=1)
    return inspect_samples(inspector, samples, title="", progress=False)


def written(folder: Path, records: list[Record]) -> list[dict[str, object]]:
    names = write_golden(folder, records).files
    results = json.loads((folder / GOLDEN_RESULTS).read_text())
    assert sorted(names) == sorted([GOLDEN_RESULTS, *(result["file"] for result in results)])
    return results


def test_rightly_judged_photos_come_first(records: list[Record], tmp_path: Path) -> None:
    verdicts = [(result["label"], result["verdict"]) for result in written(tmp_path, records)]
    assert verdicts == [("clean", "clean")] * 2 + [("scratched", "scratched")] * 2


def test_where_all_are_wrong_those_farthest_from_the_limit_are_taken(
    records: list[Record], tmp_path: Path
) -> None:
    """A verdict near the limit could turn on another device, and the bundle would be refused there."""
    near, far = sorted(
        (record for record in records if record.sample.label == "scratched" and record.caught),
        key=lambda record: record.inspection.score or 0.0,
    )
    near = moved(near, 0.4999)
    far = moved(far, 0.1)
    middle = moved(far, 0.3)
    scores = [result["score"] for result in written(tmp_path, [near, middle, far])]
    assert scores == [0.1, 0.3]


def moved(record: Record, score: float) -> Record:
    """The same record, as if it had escaped with this score."""
    inspection = record.inspection.model_copy(update={"verdict": "clean", "score": score})
    return Record(record.sample, inspection, record.photo_map)


def test_photos_without_a_verdict_are_never_golden(records: list[Record], tmp_path: Path) -> None:
    invalid = [
        Record(r.sample, r.inspection.model_copy(update={"verdict": "invalid", "score": None}), None)
        for r in records
    ]
    assert written(tmp_path, invalid) == []


def other_graph(bundle: Path, folder: Path, precision: Precision, gain: float) -> Inspector:
    """The tiny bundle's graph with its anomalies `gain` times as large, as if it were of this precision."""
    model = onnx.load(bundle / "inspector.onnx")
    ten = next(i for i in model.graph.initializer if i.name == "ten")
    ten.CopyFrom(numpy_helper.from_array((numpy_helper.to_array(ten) * gain).astype(np.float32), "ten"))
    path = folder / f"inspector.{precision}.onnx"
    onnx.save(model, path)
    opened = open_session(path, "cpu", threads=1)
    return Inspector(Bundle.open(bundle), opened, Choice(precision, path.name, "it is recorded"))


def recorded(folder: Path) -> set[str]:
    """The precisions that have results of their own."""
    return {
        name for result in json.loads((folder / GOLDEN_RESULTS).read_text()) for name in result["variants"]
    }


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_a_graph_that_agrees_is_held_to_its_own_results(
    records: list[Record], tiny_bundle: Path, tmp_path: Path, precision: Precision
) -> None:
    opening = {precision: partial(other_graph, tiny_bundle, tmp_path, precision, 1.005)}
    assert write_golden(tmp_path, records, opening).differing == {}
    for result in json.loads((tmp_path / GOLDEN_RESULTS).read_text()):
        ratio = result["variants"][precision]["anomaly_score"] / result["anomaly_score"]
        assert ratio == pytest.approx(1.005, rel=1e-4)


def test_fp16_is_no_farther_from_fp32_than_golden_photos_may_be_off_by(
    records: list[Record], tiny_bundle: Path, tmp_path: Path
) -> None:
    opening = {"fp16": partial(other_graph, tiny_bundle, tmp_path, "fp16", 1.03)}
    assert "anomaly score" in write_golden(tmp_path, records, opening).differing["fp16"]
    assert recorded(tmp_path) == set()


@pytest.mark.parametrize(
    ("gain", "said"), [(300.0, "instead of clean"), (3.0, "score"), (float("nan"), "no verdict")]
)
@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_a_graph_that_judges_a_golden_photo_otherwise_is_not_recorded(
    records: list[Record],
    tiny_bundle: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    precision: Precision,
    gain: float,
    said: str,
) -> None:
    opening = {precision: partial(other_graph, tiny_bundle, tmp_path, precision, gain)}
    differing = write_golden(tmp_path, records, opening).differing
    assert set(differing) == {precision}
    assert said in differing[precision]
    assert differing[precision] in caplog.text
    assert recorded(tmp_path) == set()


def test_a_graph_that_cannot_be_opened_spoils_no_other(
    records: list[Record], tiny_bundle: Path, tmp_path: Path
) -> None:
    def cannot() -> Inspector:
        raise BundleError(f"{tmp_path} cannot be run.", "Train again.")

    opening = {"int8": cannot, "fp16": partial(other_graph, tiny_bundle, tmp_path, "fp16", 1.005)}
    differing = write_golden(tmp_path, records, opening).differing
    assert set(differing) == {"int8"}
    assert str(tmp_path) not in differing["int8"], "no path of this machine"
    assert recorded(tmp_path) == {"fp16"}
