"""`glint gauge --presented`: photos of one group are repeats of one part."""

from collections.abc import Callable
from pathlib import Path

import pytest

from models.errors import DatasetError
from tests.tiny_bundle import anomalous_photo, clean_photo, encode, make_tiny_bundle
from tests.training.photos import paint_folder, record_splits
from training.data.layouts import read_dataset
from training.gauge.study import Study, run_study
from training.report.gauge import write_gauge_page

Check = Callable[..., Study]


@pytest.fixture
def check(tiny_bundle: Path) -> Check:
    def run(folder: Path, bundle: Path = tiny_bundle, include_all: bool = False) -> Study:
        return run_study(bundle, folder, None, device="cpu", include_all=include_all, progress=False)

    return run


def present(folder: Path) -> Path:
    """Photos of parts that were presented again: `a` good, `b` doubtful, `c` defective; `d` once."""
    shown = {
        "good/a1": clean_photo(seed=1),
        "good/a2": clean_photo(seed=2),
        "good/b1": clean_photo(seed=3),
        "good/b2": anomalous_photo(seed=4),
        "good/b3": clean_photo(seed=5),
        "dent/c1": anomalous_photo(seed=6),
        "dent/c2": anomalous_photo(seed=7),
        "good/d1": clean_photo(seed=8),
    }
    rows = ["file,group"]
    for name, pixels in shown.items():
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(pixels))
        rows.append(f"{name}.png,{name.split('/')[1][0]}")
    (folder / "groups.csv").write_text("\n".join(rows))
    return folder


def test_photos_of_one_group_are_repeats_of_one_part(check: Check, tmp_path: Path) -> None:
    study = check(present(tmp_path / "again"))
    main = study.main
    assert (main.way, main.kept.count, main.kept.total, main.n_trials) == ("presented", 2, 3, 7)
    (found,) = study.flipping
    assert (found.part, found.verdict, found.flips) == ("b (good/b1.png and 2 more)", "clean", 1)
    assert (main.standard.false_alarms, main.standard.n_good) == (1, 5)
    assert (main.standard.misses, main.standard.n_defective) == (0, 2)
    # Pairs that agree: 1, 1/3, 1; shares of passed: 1, 2/3, 0.
    assert main.kappa == pytest.approx((7 / 9 - (25 + 16) / 81) / (1 - (25 + 16) / 81))


def test_a_part_of_which_a_photo_was_trained_on_is_left_out_whole(check: Check, tmp_path: Path) -> None:
    folder = present(tmp_path / "again")
    bundle = make_tiny_bundle(tmp_path / "bundles")
    seen = [s for s in read_dataset(folder, progress=False).samples if s.name == "good/b2.png"]
    record_splits(bundle, seen, "calibration")
    study = check(folder, bundle)
    assert study.main.kept.total == 2
    assert (study.n_left_out, study.n_seen) == (3, 0)
    (skipped,) = study.skipped
    assert (skipped.name, skipped.reason) == (
        "group b",
        "the bundle was trained or calibrated on 1 of its 3 photos",
    )
    study = check(folder, bundle, include_all=True)
    assert (study.main.kept.total, study.n_left_out, study.n_seen) == (3, 0, 1)


def test_photos_that_stand_alone_are_not_counted_as_seen(check: Check, tmp_path: Path) -> None:
    folder = present(tmp_path / "again")
    bundle = make_tiny_bundle(tmp_path / "bundles")
    alone = [s for s in read_dataset(folder, progress=False).samples if s.name == "good/d1.png"]
    record_splits(bundle, alone, "train")
    study = check(folder, bundle, include_all=True)
    assert (study.n_left_out, study.n_seen) == (0, 0)


def test_where_no_part_can_be_used_it_is_said_of_which_and_why(check: Check, tmp_path: Path) -> None:
    folder = present(tmp_path / "again")
    bundle = make_tiny_bundle(tmp_path / "bundles")
    seen = [s for s in read_dataset(folder, progress=False).samples if s.group in "bc"]
    record_splits(bundle, seen, "train")
    table = (folder / "groups.csv").read_text().replace("good/d1.png,d", "good/d1.png,c")
    (folder / "groups.csv").write_text(table.replace("good/a2.png,a", "good/a2.png,x"))
    with pytest.raises(DatasetError) as refusal:
        check(folder, bundle)
    assert "group b: the bundle was trained or calibrated on 3 of its 3 photos" in refusal.value.problem
    assert "group c: some photos of this part are labelled good" in refusal.value.problem


def test_a_part_labelled_both_good_and_defective_is_left_out_by_name(check: Check, tmp_path: Path) -> None:
    folder = present(tmp_path / "again")
    table = (folder / "groups.csv").read_text().replace("dent/c1.png,c", "dent/c1.png,a")
    (folder / "groups.csv").write_text(table)
    study = check(folder)
    assert [part.name[0] for part in study.parts] == ["b"]
    (skipped,) = study.skipped
    assert skipped.name == "group a"
    assert "good/a1.png" in skipped.reason
    assert "labelled good, others defective" in skipped.reason


def test_a_copy_of_a_photo_is_no_repeat(check: Check, tmp_path: Path) -> None:
    folder = paint_folder(tmp_path / "photos", {"good": 2})
    (folder / "good" / "copy.png").write_bytes((folder / "good" / "good_00.png").read_bytes())
    with pytest.raises(DatasetError, match="no part with more than one photo") as refusal:
        check(folder)
    assert "groups.csv" in refusal.value.remedy


def test_the_page_of_parts_presented_again_shows_their_photos(check: Check, tmp_path: Path) -> None:
    write_gauge_page(tmp_path / "gauge.html", check(present(tmp_path / "again")))
    page = (tmp_path / "gauge.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 3
    assert "that was presented again. Nothing was disturbed." in page
