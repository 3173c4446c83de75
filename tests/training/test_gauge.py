"""`glint gauge`: which verdicts hold when a part is looked at once more, and what is said of it."""

from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from models.errors import DatasetError, UsageError
from models.quality import QualityGate, Range
from tests.tiny_bundle import Pixels, clean_photo, encode, make_tiny_bundle
from tests.training.pages import Balance, plots
from tests.training.photos import paint_folder, record_splits
from training.data.layouts import read_dataset
from training.evaluation import evaluate_bundle
from training.gauge.disturbances import Amplitudes
from training.gauge.study import Simulated, Study, run_study
from training.gauge.table import print_study
from training.gauge.trials import Part, Trial, Way
from training.gauge.words import conclusions
from training.report.gauge import write_gauge_page

LIGHT = Amplitudes(shift=0.0, light=0.05, noise=0.0)
LIT = Simulated(LIGHT, repeats=8, seed=0)
Check = Callable[..., Study]


def doubtful_photo(seed: int = 0) -> Pixels:
    """A clean photo with a square so bright that it is just below the limit: brighter light rejects it."""
    photo = clean_photo(seed=seed)
    photo[60:100, 60:100] = 203
    return photo


def paint(root: Path) -> Path:
    """Four good parts that are clear, one that is not, three scratched ones."""
    folder = paint_folder(root / "photos", {"good": 4, "scratched": 3})
    (folder / "good" / "doubtful.png").write_bytes(encode(doubtful_photo()))
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return paint(tmp_path)


@pytest.fixture(scope="module")
def study(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Eight photos under light that changes, eight times each."""
    folder = paint(tmp_path_factory.mktemp("lit"))
    return run_study(tiny_bundle, folder, LIT, device="cpu", include_all=False, progress=False)


@pytest.fixture
def check(tiny_bundle: Path, photos: Path) -> Check:
    def run(
        simulated: Simulated | None = LIT,
        *,
        bundle: Path = tiny_bundle,
        folder: Path = photos,
        include_all: bool = False,
    ) -> Study:
        return run_study(
            bundle, folder, simulated, device="cpu", include_all=include_all, progress=False, precision="fp32"
        )

    return run


def printed(study: Study) -> str:
    stream = StringIO()
    print_study(study, Console(file=stream, width=100))
    return stream.getvalue()


def test_a_doubtful_part_flips_with_the_light_and_clear_ones_never(study: Study) -> None:
    (light,) = study.ways
    assert (light.way, light.kept.count, light.kept.total, light.n_trials) == ("light", 7, 8, 64)
    (found,) = study.flipping
    assert (found.part, found.label, found.verdict) == ("good/doubtful.png", "clean", "clean")
    assert found.score is not None
    assert found.score < 0.5
    assert light.flips == {"passed": 0, "rejected": found.flips, "no verdict": 0}
    assert found.verdicts == {"anomalous": found.flips, "clean": 8 - found.flips}
    assert found.lowest < 0.5 <= found.highest
    assert light.spread.n_near >= 1
    assert light.n_marked == 1
    assert any("The one photo that flips is marked as doubtful" in line for line in conclusions(study))


def test_figures_against_the_labels_are_those_that_the_flips_make(study: Study) -> None:
    (light,) = study.ways
    flips = light.n_flips
    standard = light.standard
    assert (standard.effectiveness.count, standard.effectiveness.total) == (7, 8)
    assert (standard.misses, standard.n_defective) == (0, 24)
    assert (standard.false_alarms, standard.n_good) == (flips, 40)
    observed = (64 - flips) / 64
    by_chance = (40 * (40 - flips) + 24 * (24 + flips)) / 64**2
    assert standard.kappa == pytest.approx((observed - by_chance) / (1 - by_chance))
    agreeing = (7 + (flips * (flips - 1) + (8 - flips) * (7 - flips)) / (8 * 7)) / 8
    passed = (4 + (8 - flips) / 8) / 8
    chance = passed**2 + (1 - passed) ** 2
    assert light.kappa == pytest.approx((agreeing - chance) / (1 - chance))


def test_without_a_disturbance_the_verdict_is_that_of_evaluation(study: Study, tiny_bundle: Path) -> None:
    evaluation = evaluate_bundle(
        study.photos, tiny_bundle, device="cpu", include_all=False, progress=False, precision="fp32"
    )
    expected = {record.sample.name: Trial.of(record.inspection) for record in evaluation.records}
    assert {part.name: part.reference for part in study.parts} == expected


def test_each_disturbance_alone_and_all_together(check: Check) -> None:
    study = check(Simulated(Amplitudes(1.0, 0.05, 2.0), 3, 0))
    assert [way.way for way in study.ways] == ["shift", "light", "noise", "together"]
    assert study.main.way == "together"
    assert [way.n_trials for way in study.ways] == [24] * 4


def test_the_same_seed_gives_the_same_whatever_photos_are_beside(
    study: Study, check: Check, photos: Path
) -> None:
    def trials(study: Study) -> dict[str, Mapping[Way, tuple[Trial, ...]]]:
        return {part.name: part.trials for part in study.parts}

    whole = trials(study)
    for path in (photos / "scratched").iterdir():
        path.unlink()
    few = trials(check())
    assert few == {name: own for name, own in whole.items() if name in few}
    assert len(few) == 5
    assert trials(check(Simulated(LIGHT, 8, 1))) != few


def test_a_repeat_outside_the_quality_gate_is_an_outcome_of_its_own_and_never_a_pass(
    check: Check, tmp_path: Path
) -> None:
    gate = QualityGate(limits={"brightness": Range(low=0.35, high=0.535)})
    bundle = make_tiny_bundle(tmp_path / "bundles", quality=gate)
    folder = paint_folder(tmp_path / "few", {"good": 3, "scratched": 2})
    study = check(Simulated(Amplitudes(0.0, 0.1, 0.0), 8, 0), bundle=bundle, folder=folder)
    light = study.main
    good = [part for part in study.parts if not part.defective]
    none = sum(trial.verdict == "invalid" for part in good for trial in part.trials["light"])
    assert 0 < none < 24
    assert light.flips == {"passed": 0, "rejected": 0, "no verdict": none}
    assert (light.standard.false_alarms, light.standard.misses) == (none, 0)
    assert light.n_invalid == none
    assert all(trial.score is None for part in good for trial in part.flips("light"))
    assert f"{none} of 40 repeats got no verdict" in printed(study)


def test_photos_the_bundle_was_made_from_are_left_out_unless_asked_for(
    check: Check, photos: Path, tmp_path: Path
) -> None:
    bundle = make_tiny_bundle(tmp_path / "bundles")
    samples = read_dataset(photos, progress=False).samples
    record_splits(bundle, samples[:3], "train")
    study = check(bundle=bundle)
    assert (len(study.parts), study.n_left_out, study.n_seen) == (5, 3, 0)
    study = check(bundle=bundle, include_all=True)
    assert (len(study.parts), study.n_left_out, study.n_seen) == (8, 0, 3)
    record_splits(bundle, samples, "train")
    with pytest.raises(DatasetError, match="trained or calibrated on all of its 8 photos") as refusal:
        check(bundle=bundle)
    assert "--all" in refusal.value.remedy


def test_without_any_amplitude_there_is_nothing_to_check(check: Check) -> None:
    with pytest.raises(UsageError, match="nothing would be disturbed"):
        check(Simulated(Amplitudes(0.0, 0.0, 0.0), 5, 0))


def test_the_table_names_what_flips_and_the_words_say_what_to_conclude(check: Check) -> None:
    text = " ".join(printed(check(Simulated(Amplitudes(0.5, 0.05, 1.0), 8, 0))).split())
    assert "7 of 8 photos keep their outcome" in text
    assert "good/doubtful.png clean clean" in text
    assert "by AIAG's rule of thumb, above 0.75 is good, below 0.40 poor" in text
    assert "Light matters most." in text
    assert "8 photos, 3 of them defective, are few" in text
    assert "do not prove those that do" in text


def test_verdicts_that_repeat_and_are_wrong_are_told_from_those_that_do_not_repeat(
    check: Check, tmp_path: Path
) -> None:
    """Every repeat is passed, so that there is no kappa between them; those labelled dents are missed."""
    folder = paint_folder(tmp_path / "few", {"good": 6})
    (folder / "dent").mkdir()
    for name in ("good_00.png", "good_01.png", "good_02.png"):
        (folder / "good" / name).rename(folder / "dent" / name)
    study = check(folder=folder)
    assert (study.main.kappa, study.main.standard.kappa) == (None, 0.0)
    assert "The verdicts repeat, but they are not those of the labels" in " ".join(conclusions(study))


def test_photos_that_vanish_meanwhile_leave_no_figures_of_nothing(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = paint_folder(tmp_path / "few", {"good": 2})

    def read(*given: Any, **options: Any) -> Any:
        found = read_dataset(*given, **options)
        for sample in found.samples:
            sample.path.unlink()
        return found

    monkeypatch.setattr("training.gauge.study.read_dataset", read)
    with pytest.raises(DatasetError, match=r"can be read any more: good/good_00\.png"):
        check(folder=folder)


def test_the_page_tells_of_what_was_done_alone(check: Check, tmp_path: Path) -> None:
    write_gauge_page(tmp_path / "gauge.html", check())
    page = (tmp_path / "gauge.html").read_text(encoding="utf-8")
    assert "brightness multiplied" in page
    assert not any(words in page for words in ("moved by up to", "noise added", "all of these together"))


def test_good_parts_alone_give_no_kappa_and_it_is_said(check: Check, tmp_path: Path) -> None:
    folder = paint_folder(tmp_path / "few", {"good": 3})
    study = check(folder=folder)
    standard = study.main.standard
    assert (study.main.kappa, standard.kappa, standard.miss_rate) == (None, None, None)
    words = " ".join(conclusions(study))
    assert "There is no kappa between repeats" in words
    assert "No photo is labelled defective" in words
    assert "misses" not in words


def test_the_page_is_whole_and_shows_the_parts_that_flip(check: Check, photos: Path, tmp_path: Path) -> None:
    odd = photos / "good" / "<b>&doubt.png"
    odd.write_bytes(encode(doubtful_photo(seed=9)))
    write_gauge_page(tmp_path / "gauge.html", check())
    page = (tmp_path / "gauge.html").read_text(encoding="utf-8")
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    assert "<script" not in page
    assert "://" not in page
    assert "<b>&doubt" not in page
    assert page.count("data:image/jpeg;base64,") == 2 * 2
    assert len(plots(page)) == 1 + 2
    assert "7 of 9" in page


def test_how_far_the_score_moves_as_a_share_of_its_distance_to_the_limit() -> None:
    trials = tuple(Trial("clean", score) for score in (0.3, 0.4, 0.5))
    part = Part("a", "clean", trials[1], {"shift": trials, "light": trials[:1]}, ())
    assert part.deviation("shift") == pytest.approx(0.1)
    assert part.share_of_distance("shift") == pytest.approx(1.0)
    assert part.near("shift")
    assert part.deviation("light") is None
    assert not part.near("light")


def test_a_defect_found_under_another_name_is_no_flip_but_is_counted() -> None:
    trials = tuple(Trial(name, 0.9) for name in ("scratched", "anomalous", "dent"))
    part = Part("a", "scratched", trials[0], {"shift": trials}, ())
    assert part.flips("shift") == []
    assert part.renamed("shift") == 2
    np.testing.assert_array_equal(part.counts("shift"), [0, 3, 0])
