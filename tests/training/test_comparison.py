"""A new bundle against the previous one of the part, on photos that neither was made from."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from models.decision import Limits
from models.errors import BundleError
from models.inspector import Inspector
from service.review import dataset as exported
from tests.tiny_bundle import clean_photo, make_tiny_bundle
from tests.training.photos import paint_folder, painted_sample, record_splits
from training.comparison import (
    Compared,
    NotCompared,
    Shift,
    Turned,
    compare,
    conclusion,
    describe,
    find_predecessor,
    sign_test,
)
from training.data.layouts import read_dataset
from training.data.origins import ORIGINS, reviewed_photos
from training.data.samples import Dataset
from training.evaluation import inspect_samples
from training.report.comparison import comparison_section

# So high that no painted defect reaches it.
BLIND = Limits(classifier=None, anomaly=9.0)
# So low that each painted part does.
STRICT = Limits(classifier=None, anomaly=0.01)


@pytest.fixture(scope="module")
def inspector(tiny_bundle: Path) -> Inspector:
    """The new bundle: it is right about every painted part."""
    return Inspector.load(tiny_bundle, "cpu", threads=1)


@pytest.fixture
def photos(tmp_path: Path) -> Dataset:
    return read_dataset(
        paint_folder(tmp_path / "photos", {"good": 7, "scratched": 6, "dent": 2}), progress=False
    )


def earlier_bundle(folder: Path, limits: Limits) -> Path:
    return make_tiny_bundle(folder / "earlier", version="20250101-000000", classes=["clean"], limits=limits)


def compared(earlier: Path, inspector: Inspector, photos: Dataset) -> Compared | NotCompared:
    records = inspect_samples(inspector, photos.samples, title="", progress=False)
    return compare(earlier, records, photos, progress=False)


def test_photos_of_one_group_prove_no_more_than_one_photo(
    tmp_path: Path, inspector: Inspector, photos: Dataset
):
    one_part = [replace(s, group="one part" if s.label != "clean" else "") for s in photos.samples]
    found = compared(earlier_bundle(tmp_path, BLIND), inspector, replace(photos, samples=tuple(one_part)))
    assert isinstance(found, Compared)
    assert found.figures.escapes == Shift(n=8, before=8, now=0, mended=8, made=0, chance=1.0)
    assert "too few photos differ" in "\n".join(describe(found))


def test_what_got_better_is_counted_and_named(tmp_path: Path, inspector: Inspector, photos: Dataset):
    found = compared(earlier_bundle(tmp_path, BLIND), inspector, photos)
    assert isinstance(found, Compared)
    figures = found.figures
    assert (figures.n_photos, figures.n_left_out, figures.n_reviewed) == (15, 0, 0)
    assert figures.escapes == Shift(n=8, before=8, now=0, mended=8, made=0, chance=2 * 0.5**8)
    assert figures.false_rejects == Shift(n=7, before=0, now=0, mended=0, made=0, chance=1.0)
    assert figures.before.escape_rate == 1.0
    assert figures.now.escape_rate == 0.0
    assert [(t.label, t.before, t.now, t.change) for t in figures.turned] == [
        *[("dent", "clean", "anomalous", "better")] * 2,
        *[("scratched", "clean", "scratched", "better")] * 6,
    ]
    said = "\n".join(describe(found))
    assert "bracket 20250101-000000" in said
    assert "the 15 photos that neither bundle was made from (7 good, 8 defective)" in said
    assert "Escapes: 8 of 8 before, 0 of 8 now; 8 mended, 0 new: better, beyond what chance" in said
    assert "False rejects: none on 7 photos, before and now." in said


def test_what_got_worse_comes_first(tmp_path: Path, photos: Dataset):
    blind = make_tiny_bundle(tmp_path / "new", classes=["clean"], limits=BLIND)
    strict = earlier_bundle(tmp_path, STRICT)
    found = compared(strict, Inspector.load(blind, "cpu", threads=1), photos)
    assert isinstance(found, Compared)
    assert [pair.change for pair in found.turned] == ["worse"] * 8 + ["better"] * 7
    assert (found.figures.escapes.made, found.figures.false_rejects.mended) == (8, 7)
    assert "8 new: worse, beyond what chance" in "\n".join(describe(found))


def test_another_name_for_a_defect_is_neither(tmp_path: Path, inspector: Inspector, photos: Dataset):
    found = compared(earlier_bundle(tmp_path, Limits(anomaly=3.0)), inspector, photos)
    assert isinstance(found, Compared)
    assert [(t.before, t.now, t.change) for t in found.figures.turned] == [
        ("anomalous", "scratched", "other")
    ] * 6
    assert found.figures.escapes.before == found.figures.escapes.now == 0


def test_photos_that_the_earlier_bundle_was_made_from_are_left_out_with_their_groups(
    tmp_path: Path, inspector: Inspector, photos: Dataset
):
    earlier = earlier_bundle(tmp_path, BLIND)
    first, second, third, *others = photos.samples
    record_splits(earlier, [first], "calibration")
    together = replace(
        photos, samples=(replace(first, group="A"), replace(second, group="A"), third, *others)
    )
    found = compared(earlier, inspector, together)
    assert isinstance(found, Compared)
    assert (found.figures.n_photos, found.figures.n_left_out) == (13, 2)


def test_test_photos_of_the_earlier_bundle_count(tmp_path: Path, inspector: Inspector, photos: Dataset):
    earlier = earlier_bundle(tmp_path, BLIND)
    record_splits(earlier, photos.samples, "test")
    found = compared(earlier, inspector, photos)
    assert isinstance(found, Compared)
    assert found.figures.n_photos == 15


def test_without_a_photo_that_both_have_not_seen_it_says_so(
    tmp_path: Path, inspector: Inspector, photos: Dataset
):
    earlier = earlier_bundle(tmp_path, BLIND)
    record_splits(earlier, photos.samples, "train")
    found = compared(earlier, inspector, photos)
    assert isinstance(found, NotCompared)
    assert "saw each of the 15 test photos" in describe(found)[0]


def test_a_damaged_bundle_stops_no_training(tmp_path: Path, inspector: Inspector, photos: Dataset):
    earlier = earlier_bundle(tmp_path, BLIND)
    (earlier / "inspector.onnx").write_bytes(b"cut off")
    found = compared(earlier, inspector, photos)
    assert isinstance(found, NotCompared)
    assert "inspector.onnx was altered" in found.problem


def test_the_newest_bundle_of_the_part_is_the_one_to_compare_with(tmp_path: Path):
    assert find_predecessor(tmp_path, "bracket", None) is None
    make_tiny_bundle(tmp_path, version="20250101-000000")
    newest = make_tiny_bundle(tmp_path, version="20250102-000000")
    other = make_tiny_bundle(tmp_path, part="nut", version="20260101-000000")
    assert find_predecessor(tmp_path, "bracket", None) == newest
    assert find_predecessor(tmp_path, "bracket", other) == other
    assert find_predecessor(tmp_path, "screw", None) is None
    with pytest.raises(BundleError, match="not a complete bundle"):
        find_predecessor(tmp_path, "bracket", tmp_path / "none")


def test_reviewed_photos_are_called_so(tmp_path: Path, inspector: Inspector, photos: Dataset):
    assert ORIGINS == exported.ORIGINS
    earlier = earlier_bundle(tmp_path, BLIND)
    names = [sample.name for sample in photos.samples]
    (photos.root / ORIGINS).write_text("\n".join(["file,inspection", *(f"{n},0" for n in names[:4])]))
    found = compared(earlier, inspector, photos)
    assert isinstance(found, Compared)
    assert found.figures.n_reviewed == 4
    assert "15 photos (4 of them reviewed)" in describe(found)[0]
    (photos.root / ORIGINS).write_text("\n".join(["file,inspection", *(f"{n},0" for n in names)]))
    assert "the 15 reviewed photos" in describe(compared(earlier, inspector, photos))[0]


@pytest.mark.parametrize("text", [b"name\nx\n", b"file\n\xff\xfe\n"])
def test_a_table_of_origins_that_cannot_be_read_stops_nothing(
    tmp_path: Path, text: bytes, caplog: pytest.LogCaptureFixture
):
    (tmp_path / ORIGINS).write_bytes(text)
    assert reviewed_photos(tmp_path) == frozenset()
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize(
    ("mended", "made", "chance"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 5, 1.0), (0, 6, 2 / 64), (2, 8, 2 * (1 + 10 + 45) / 1024)],
)
def test_the_chance_is_that_of_a_fair_coin(mended: int, made: int, chance: float):
    assert sign_test(mended, made) == sign_test(made, mended) == pytest.approx(chance)


def test_few_differing_photos_prove_nothing():
    mended = Shift(n=9, before=3, now=0, mended=3, made=0, chance=0.25)
    assert conclusion("Escapes", mended).endswith("too few photos differ to call it better.")
    even = Shift(n=9, before=2, now=2, mended=2, made=2, chance=1.0)
    assert conclusion("Escapes", even).endswith("too few photos differ to call it a difference.")
    same = Shift(n=9, before=2, now=2, mended=0, made=0, chance=1.0)
    assert conclusion("Escapes", same) == "Escapes: 2 of 9 before, 2 of 9 now; the same photos."
    nothing = Shift(n=0, before=0, now=0, mended=0, made=0, chance=1.0)
    assert conclusion("Escapes", nothing) == "Escapes: no photo to tell by."


def test_the_report_shows_the_figures_and_the_photos_that_turned(
    tmp_path: Path, inspector: Inspector, photos: Dataset
):
    found = compared(earlier_bundle(tmp_path, BLIND), inspector, photos)
    section = comparison_section(found, inspector)
    assert "20250101-000000" in section
    assert "0 worse, 8 better, 0 under another name" in section
    assert section.count("<article") == 8
    assert section.count("data:image/jpeg") == 24
    assert re.search(r"<th>Escapes</th><td[^>]*>100.0\xa0% .*63.1.*</td><td[^>]*>0.0\xa0%", section)
    assert "do not tell the rates of the line" not in section


def test_the_report_of_a_part_s_first_bundle_has_no_comparison(inspector: Inspector):
    assert comparison_section(None, inspector) == ""


def test_the_report_says_why_nothing_was_compared(inspector: Inspector):
    section = comparison_section(NotCompared("It is <b>damaged</b>."), inspector)
    assert "It is &lt;b&gt;damaged&lt;/b&gt;." in section


def test_where_there_was_no_verdict_the_photo_is_shown_without_heat(
    tmp_path: Path, inspector: Inspector, photos: Dataset
):
    found = compared(earlier_bundle(tmp_path, BLIND), inspector, photos)
    assert isinstance(found, Compared)
    pair = found.turned[0]
    refused = pair.before.inspection.model_copy(update={"verdict": "invalid", "score": None})
    turned = Turned(replace(pair.before, inspection=refused), pair.now)
    section = comparison_section(replace(found, turned=(turned,)), inspector)
    photo, before, now = re.findall(r'src="([^"]+)"', section)
    assert photo == before != now
    assert "score none before" in section


def test_the_report_escapes_names_and_passes_over_photos_that_are_gone(tmp_path: Path, inspector: Inspector):
    sample = painted_sample(tmp_path / "<img>.png", clean_photo(), "clean")
    photos = Dataset(tmp_path, "painted", (sample,))
    found = compared(earlier_bundle(tmp_path, STRICT), inspector, photos)
    sample.path.unlink()
    section = comparison_section(found, inspector)
    assert "&lt;img&gt;.png" in section
    assert "<img>" not in section
    assert "could not be read again" in section
