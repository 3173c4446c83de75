"""Photos given as good that stand out are found, each judged as if PaDiM had not learnt from it."""

from pathlib import Path

import numpy as np
import pytest

from models.inspector import Inspector
from models.networks.padim import PadimFit
from models.networks.padim_config import PadimConfig
from tests.training.filters import Filters
from tests.training.photos import paint_folder
from training.anomaly import TrainingPhotos, fit_padim
from training.data.samples import Sample
from training.passes import take_in
from training.report.cases import suspects_gallery
from training.suspects import FEWEST, Suspect, beyond_fence, find_suspects

CONFIG = PadimConfig(dims=6, smoothing=0.0)
SIZE = 32


def good_photos(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(90, 130, (count, SIZE, SIZE, 3), dtype=np.uint8)


def samples(count: int) -> list[Sample]:
    names = [f"{index}.png" for index in range(count)]
    return [Sample(Path(name), name, "clean", name, height=SIZE, width=SIZE) for name in names]


def test_the_photo_that_does_not_belong_is_named_with_its_place() -> None:
    images = good_photos(40)
    images[17, 8:16, 24:32] = (250, 20, 20)
    fit = PadimFit(CONFIG)
    take_in(Filters(), images, [fit], "cpu", progress=False)
    (found,) = find_suspects(Filters(), fit.finish(), samples(40), images, "cpu")
    assert found.sample.name == "17.png"
    assert found.score > 2 * found.typical
    assert divmod(int(found.anomaly_map.argmax()), 4) == (1, 3)
    assert found.anomaly_map.max() == pytest.approx(found.score)


def test_among_photos_that_are_alike_and_among_few_nobody_is_named() -> None:
    for count in (60, FEWEST - 1):
        images = good_photos(count)
        if count < FEWEST:
            images[3] = 255
        fit = PadimFit(CONFIG)
        take_in(Filters(), images, [fit], "cpu", progress=False)
        assert find_suspects(Filters(), fit.finish(), samples(count), images, "cpu") == []


def test_what_the_choice_has_seen_already_names_the_same_photos() -> None:
    rng = np.random.default_rng(1)
    images = np.concatenate([good_photos(40), rng.integers(0, 60, (12, SIZE, SIZE, 3), dtype=np.uint8)])
    images[17, 8:16, 24:32] = (250, 20, 20)
    defective = np.arange(len(images)) >= 40
    model, choice = fit_padim(Filters(), TrainingPhotos(images, defective, range(len(images))), CONFIG)
    assert choice.scores is not None
    again = Filters()
    first, second = (
        find_suspects(trunk, model, samples(40), images[:40], "cpu", scores)
        for trunk, scores in ((Filters(), None), (again, choice.scores))
    )
    assert [(s.sample, s.score, s.typical) for s in first] == [(s.sample, s.score, s.typical) for s in second]
    assert "17.png" in [suspect.sample.name for suspect in first]
    assert again.photos == len(second), "only what stands out is looked at again"


def test_the_strangest_comes_first() -> None:
    scores = np.array([1.0, 9.0, 1.1, 1.2, 0.9, 1.3, 12.0, 1.0])
    assert beyond_fence(scores) == [6, 1]
    assert beyond_fence(scores[[0, 2, 3, 4]]) == []


def test_the_report_shows_where_a_photo_is_strange_though_the_model_has_learnt_it(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    path = paint_folder(tmp_path / "photos", {"good": 1}) / "good"
    (photo,) = path.iterdir()
    inspector = Inspector.load(tiny_bundle, "cpu", 1)
    limit = inspector.manifest.limits.anomaly
    heat = np.zeros(inspector.manifest.grid, np.float32)
    heat[2:4, 2:4] = 3 * limit
    sample = Sample(photo, "good/odd.png", "clean", "odd", height=SIZE, width=SIZE)
    found = suspects_gallery(inspector, [Suspect(sample, 3 * limit, 0.25 * limit, heat)])
    (case,) = found.cases
    assert "judged without itself: 1, the strangest first" in found.remark
    assert (case.name, case.score, case.problem) == ("good/odd.png", None, "")
    assert f"anomaly {3 * limit:.3g} (limit {limit:.3g}" in case.caption
    cool = suspects_gallery(inspector, [Suspect(sample, 3 * limit, 0.25 * limit, 0 * heat)]).cases[0]
    assert case.photo == cool.photo
    assert case.overlay != cool.overlay
