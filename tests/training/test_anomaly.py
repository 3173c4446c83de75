"""PaDiM's fit, and what it chooses on the training photos."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from models.networks.padim import PadimFit
from models.networks.padim_config import PadimConfig
from tests.training.filters import Filters
from training.anomaly import FEWEST_DEFECTS, TrainingPhotos, fit_padim, left_out

CONFIG = PadimConfig(dims=12, smoothing=0.0)
SIDE = 64


def photos(
    count: int, gains: tuple[float, float], defect: npt.NDArray[np.float64] | float | None, seed: int
) -> npt.NDArray[np.uint8]:
    """Photos of one part: bands and noise under an exposure drawn from `gains`.

    `defect` changes a patch: a pattern added to it, or a factor.
    """
    rng = np.random.default_rng(seed)
    bands = 40.0 + 25.0 * np.sin(np.arange(SIDE) / 3.0)[None, :, None] * np.ones((SIDE, 1, 3))
    made = []
    for _ in range(count):
        part = bands + rng.normal(0.0, 2.0, bands.shape)
        if isinstance(defect, float):
            part[24:40, 24:40] *= defect
        elif defect is not None:
            part[24:40, 24:40] += defect
        made.append(part * rng.uniform(*gains))
    return np.clip(np.stack(made), 0, 255).astype(np.uint8)


def training_photos(
    gains: tuple[float, float], defect: npt.NDArray[np.float64] | float, n_bad: int
) -> TrainingPhotos:
    images = np.concatenate([photos(40, gains, None, 1), photos(n_bad, gains, defect, 2)])
    return TrainingPhotos(images, np.arange(len(images)) >= 40, range(len(images)))


WEAK_PATTERN = 7.0 * np.sin(np.arange(16) / 1.5)[:, None, None] * np.ones((1, 16, 3))


def test_where_exposure_varies_embeddings_are_brought_to_one_length() -> None:
    given = training_photos((0.4, 2.0), WEAK_PATTERN, 20)
    model, choice = fit_padim(Filters(), given, CONFIG)
    assert choice.config.normalise
    assert model.embedding.length is not None
    lengths = model.embedding(Filters()(torch.from_numpy(given.images))).norm(dim=1)
    assert torch.allclose(lengths, torch.tensor(model.embedding.length), rtol=1e-4)
    assert "AUROC" in choice.why
    assert "20 training photos of defects" in choice.why


def test_where_the_defect_is_a_matter_of_brightness_they_keep_their_length() -> None:
    given = training_photos((0.95, 1.05), 0.7, 20)
    model, choice = fit_padim(Filters(), given, CONFIG)
    assert not choice.config.normalise
    assert model.embedding.length is None
    assert "no clear gain" in choice.why


def test_photos_that_are_alike_do_not_decide_alone() -> None:
    given = training_photos((0.4, 2.0), WEAK_PATTERN, 20)
    alike = TrainingPhotos(given.images, given.defective, [row % 3 for row in range(len(given.images))])
    assert fit_padim(Filters(), given, CONFIG)[1].config.normalise
    assert not fit_padim(Filters(), alike, CONFIG)[1].config.normalise


def test_photos_of_one_group_choose_nothing() -> None:
    given = training_photos((0.4, 2.0), WEAK_PATTERN, 20)
    alike = TrainingPhotos(given.images, given.defective, ["one"] * len(given.images))
    choice = fit_padim(Filters(), alike, CONFIG)[1]
    assert not choice.config.normalise
    assert "one group" in choice.why


def test_too_few_defects_choose_nothing_and_cost_nothing() -> None:
    given = training_photos((0.4, 2.0), WEAK_PATTERN, FEWEST_DEFECTS - 1)
    trunk = Filters()
    model, choice = fit_padim(trunk, given, CONFIG)
    assert model.embedding.length is None
    assert not choice.config.normalise
    assert f"there are {FEWEST_DEFECTS - 1}" in choice.why
    assert trunk.photos == 40


def test_what_is_asked_for_is_not_chosen() -> None:
    given = training_photos((0.95, 1.05), 0.7, 20)
    model, choice = fit_padim(Filters(), given, PadimConfig(dims=12, normalise=True))
    assert choice.config.normalise
    assert choice.why == "asked for"
    assert model.embedding.length is not None


def test_no_more_photos_are_judged_than_they_tell(monkeypatch) -> None:
    monkeypatch.setattr("training.anomaly.MOST_JUDGED", 25)
    given = training_photos((0.9, 1.1), 0.7, 60)
    trunk = Filters()
    fit_padim(trunk, given, CONFIG)
    assert trunk.photos == 40 + 25 + 25


@pytest.mark.parametrize("ridge", [0.01, 0.3])
def test_left_out_is_what_a_fit_without_the_photo_gives(ridge: float) -> None:
    images = photos(14, (0.8, 1.2), None, 5)
    layers = Filters()(torch.from_numpy(images))
    n = len(images)
    whole = PadimFit(PadimConfig(dims=12, smoothing=0.0, regularisation=ridge))
    whole.add(layers)
    found = left_out(whole.finish().distances(layers), n)
    for index in (0, 6, 13):
        others = [i for i in range(n) if i != index]
        fit = PadimFit(PadimConfig(dims=12, smoothing=0.0, regularisation=ridge * (n - 1) / (n - 2)))
        fit.add([layer[others] for layer in layers])
        expected = fit.finish().distances([layer[index : index + 1] for layer in layers])
        assert torch.allclose(found[index], expected[0], rtol=2e-3), index
