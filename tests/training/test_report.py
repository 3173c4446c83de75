"""The report: one file, complete on its own, that says what was measured and what was not."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.bundle import Bundle
from models.inspector import Inspector
from models.session import open_session
from tests.tiny_bundle import (
    anomalous_photo,
    clean_photo,
    make_tiny_bundle,
    scratched_photo,
    unmeasurable_photo,
)
from tests.training.pages import Balance, plots
from tests.training.photos import paint_folder, painted_sample
from training.data.layouts import read_dataset
from training.data.samples import Dataset, Sample, Skipped
from training.evaluation import inspect_samples, summarise
from training.report import write_report

HISTORY = [
    {"epoch": 0, "calibration_loss": 1.5, "calibration_accuracy": 0.7},
    *(
        {"epoch": e, "train_loss": 1.0 / e, "calibration_loss": 1.2 / e, "calibration_accuracy": 1 - 0.2 / e}
        for e in range(1, 6)
    ),
]

Write = Callable[..., str]


@pytest.fixture
def write(tiny_bundle: Path, tmp_path: Path) -> Write:
    """Write a report over these test samples, and return its text."""

    def run(
        samples: Sequence[Sample],
        *,
        bundle: Path = tiny_bundle,
        manifest: Mapping[str, Any] | None = None,
        skipped: Sequence[Skipped] = (),
        history: Sequence[Mapping[str, float]] = (),
        before_writing: Callable[[], object] = lambda: None,
    ) -> str:
        opened = Bundle.open(bundle)
        changed = Bundle(bundle, opened.manifest.model_copy(update=dict(manifest or {})))
        inspector = Inspector(changed, open_session(bundle / "inspector.onnx", "cpu", threads=1))
        records = inspect_samples(inspector, samples, title="", progress=False)
        before_writing()
        path = tmp_path / "report.html"
        write_report(
            path,
            inspector=inspector,
            records={"calibration": records[:1], "test": records},
            metrics=summarise(records),
            dataset=Dataset(tmp_path, "class folders", tuple(samples), tuple(skipped)),
            splits={"train": samples[:2], "calibration": samples[:1], "test": samples},
            history=history,
        )
        return path.read_text(encoding="utf-8")

    return run


@pytest.fixture
def photos(tmp_path: Path) -> Sequence[Sample]:
    root = paint_folder(tmp_path / "photos", {"good": 8, "scratched": 4, "dent": 3}, masks=True)
    return read_dataset(root, progress=False).samples


def test_it_needs_nothing_from_outside(write: Write, photos: Sequence[Sample]):
    page = write(photos, history=HISTORY)
    assert "<script" not in page
    assert "<link" not in page
    assert "url(" not in page
    assert not re.search(r"https?://", page)
    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) >= 2 * (6 + 6 + 2)
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert page.count("default-src &#39;none&#39;") + page.count("default-src 'none'") == 1


def test_it_is_well_formed(write: Write, photos: Sequence[Sample]):
    page = write(photos, history=HISTORY)
    checker = Balance()
    checker.feed(page)
    assert checker.open == []
    assert len(plots(page)) == 7  # ROC, three histograms, reliability, two training curves


def test_it_says_what_it_is_and_what_was_found(write: Write, photos: Sequence[Sample]):
    page = write(photos)
    assert "<h1>bracket</h1>" in page
    assert "20260101-000000" in page
    assert "passed 0 of 7 defective parts and rejected 0 of 8 good ones" in page
    assert "The true rate lies between 0.0\u00a0% and 41.0\u00a0%" in page  # 0 of 7
    assert "too few photos to prove it" in page
    assert "7 defective photos with a mask" in page
    assert "not a class it knows" in page
    assert "Released for use" in page


def test_it_says_where_photos_are_alike(write: Write, photos: Sequence[Sample]):
    assert "one group" not in write(photos)
    page = write([replace(sample, group=sample.label) for sample in photos])
    assert "intervals count 8 good photos as 1 and 7 defective photos as 2" in page
    assert "The true rate lies between 0.0\u00a0% and 84.2\u00a0%" in page  # 0 of 7, which are of two groups


def test_notes_on_the_limits_are_shown(write: Write, photos: Sequence[Sample], tiny_bundle: Path):
    origins = Bundle.open(tiny_bundle).manifest.limit_origins
    noted = origins.anomaly.model_copy(update={"note": "12 good photos support 7.7 % at best."})
    page = write(photos, manifest={"limit_origins": origins.model_copy(update={"anomaly": noted})})
    assert "12 good photos support 7.7 % at best." in page


def test_misses_and_false_rejects_are_shown_the_worst_first(write: Write, tmp_path: Path):
    bad = [
        painted_sample(tmp_path / "p" / f"missed_{i}.png", clean_photo(seed=i), "scratched") for i in range(8)
    ]
    good = [
        painted_sample(tmp_path / "p" / "fine.png", clean_photo(seed=20), "clean"),
        painted_sample(tmp_path / "p" / "rejected.png", anomalous_photo(), "clean"),
    ]
    page = write([*good, *bad])
    assert "Worst misses" in page
    assert "Defective parts that were passed: 6 of 8" in page
    assert page.count("scratched → clean") == 6
    assert "Good parts that were rejected: 1," in page
    assert "clean → anomalous" in page
    assert "clean → clean" not in page
    assert "Defective parts were passed" in page


def test_without_wrong_calls_the_nearest_ones_are_shown(write: Write, photos: Sequence[Sample]):
    page = write(photos)
    assert "No defective test photo was passed. These were caught most narrowly." in page
    assert "No good test photo was rejected for a defect. These came nearest to it." in page


def test_without_defects_each_section_says_why_it_is_empty(write: Write, tmp_path: Path):
    bundle = make_tiny_bundle(tmp_path / "bundles", classes=("clean",))
    good = [painted_sample(tmp_path / "p" / f"{i}.png", clean_photo(seed=i), "clean") for i in range(4)]
    page = write(good, bundle=bundle)
    assert "A ROC curve needs both kinds of photos; there are no defective test photos." in page
    assert "the bundle has no defect class" in page
    assert "There is no defective test photo." in page
    assert "no defective test photo has a mask" in page
    assert "no classifier was fine-tuned" in page
    assert len(plots(page)) == 2  # histograms of the combined and the anomaly score


def test_without_any_test_photo_it_says_that_nothing_is_known(write: Write):
    page = write([])
    assert "nothing is known of how it does" in page
    assert plots(page) == []


def test_photos_without_a_verdict_are_named_and_not_called_clean(write: Write, tmp_path: Path):
    samples = [
        painted_sample(tmp_path / "p" / "fine.png", clean_photo(), "clean"),
        painted_sample(tmp_path / "p" / "nan.png", unmeasurable_photo(), "scratched"),
    ]
    page = write(samples)
    assert "nan.png: the model&#39;s outputs are not finite numbers in range" in page
    assert "no verdict: never passed, but not counted as caught" in page
    assert "no defective test photo with a verdict to show" in page


def test_file_names_are_never_markup(write: Write, tmp_path: Path):
    name = '<img src="x" onerror="alert(1)">&.png'
    sample = painted_sample(tmp_path / "p" / name, scratched_photo(), "scratched")
    skipped = [Skipped("<b>bold</b>.jpg", "not a <i>photo</i>")]
    page = write([sample], skipped=skipped, manifest={"training": {"note": "<u>x</u>"}})
    for forbidden in ('<img src="x"', "<b>bold", "<i>photo", "<u>x"):
        assert forbidden not in page
    assert "&lt;b&gt;bold&lt;/b&gt;.jpg" in page


def test_names_that_are_no_utf8_do_not_stop_it(write: Write):
    page = write([], skipped=[Skipped("caf\udce9.jpg", "unreadable")])
    assert "caf?.jpg" in page


def test_many_skipped_files_are_cut_short_with_their_number(write: Write):
    page = write([], skipped=[Skipped(f"{i}.gif", "not a photo") for i in range(250)])
    assert "250 files were left out" in page
    assert "and 50 more." in page


def test_a_photo_that_has_gone_since_is_said_to_be(write: Write, tmp_path: Path):
    sample = painted_sample(tmp_path / "p" / "a.png", scratched_photo(), "scratched")
    page = write([sample], before_writing=sample.path.unlink)
    assert "could not be read again" in page


def test_no_bar_straddles_the_limit(write: Write, tmp_path: Path):
    samples = [
        painted_sample(tmp_path / "p" / f"{i}.png", _spotted(i), "clean" if i < 20 else "dent")
        for i in range(40)
    ]
    for plot in plots(write(samples)):
        lines = [item for item in plot if item.get("class") == "limit"]
        bars = [item for item in plot if str(item.get("class")).startswith("bar-")]
        for limit in (float(item.get("x1", "nan")) for item in lines):
            assert bars
            for bar in bars:
                left = float(bar.get("x", "nan"))
                right = left + float(bar.get("width", "nan"))
                assert right <= limit + 0.1 or left >= limit - 0.1


def test_it_stays_small_however_large_the_photos_are(write: Write, tmp_path: Path):
    rng = np.random.default_rng(0)
    samples = []
    for index in range(16):
        noise = rng.integers(0, 256, (900, 900, 3), dtype=np.uint8)
        label = "clean" if index % 2 else f"class{index}"
        samples.append(painted_sample(tmp_path / "p" / f"{index}.png", noise, label))
    assert len(write(samples)) < 4_000_000


def _spotted(index: int) -> np.ndarray:
    photo = clean_photo(seed=index)
    photo[40:80, 40:80] = 128 + 3 * index
    return photo
