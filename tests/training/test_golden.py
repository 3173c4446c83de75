"""Which photos travel with a bundle as its proof."""

import json
from pathlib import Path

import pytest

from models.bundle import GOLDEN_RESULTS
from models.inspector import Inspector
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
    names = write_golden(folder, records)
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
