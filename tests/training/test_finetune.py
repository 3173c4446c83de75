"""Fine-tuning moves what its strategy says, learns, and keeps the best epoch."""

import copy
from functools import cache

import numpy as np
import pytest
import torch
from torchvision.models import resnet50

from models.networks.resnet import Head, Trunk, build_resnet50
from training.augmentation import Augmentation
from training.config import FinetuneConfig
from training.finetune import finetune
from training.readout import REAL_SHARE, balanced_weights, fit_readout
from training.views import LabelledImages, ViewCache

SIZE = 64


def parts(n: int, seed: int) -> LabelledImages:
    """Grey parts; every third one has a bright bar."""
    rng = np.random.default_rng(seed)
    images = rng.integers(110, 140, (n, SIZE, SIZE, 3)).astype(np.uint8)
    labels = np.array([int(i % 3 == 0) for i in range(n)], dtype=np.int64)
    images[labels == 1, 24:36, 8:56] = 250
    return LabelledImages(images, labels)


@cache
def untuned() -> tuple[Trunk, Head]:
    """Random networks, the same for all tests: copy them."""
    torch.manual_seed(0)
    return build_resnet50(2)


def tune(strategy: str, **changes):
    trunk, head = copy.deepcopy(untuned())
    before = [network.state_dict() for network in untuned()]
    config = FinetuneConfig(strategy, **{"epochs": 2, "views": 2, "batch": 6, "epoch_samples": 12, **changes})
    history = finetune(trunk, head, parts(12, 0), parts(9, 1), config, progress=False)
    return trunk, head, before, history


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    """The first word of every key whose value changed."""
    return {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])}


@pytest.mark.parametrize(
    ("strategy", "in_trunk", "in_head"),
    [
        ("head", set(), {"fc"}),
        ("layer4", set(), {"layer4", "fc"}),
        pytest.param(
            "discriminative", {"stem", "layer1", "layer2", "layer3"}, {"layer4", "fc"}, marks=pytest.mark.slow
        ),
        pytest.param(
            "full", {"stem", "layer1", "layer2", "layer3"}, {"layer4", "fc"}, marks=pytest.mark.slow
        ),
    ],
)
def test_strategy_moves_only_what_it_names(strategy, in_trunk, in_head, monkeypatch) -> None:
    if strategy != "head":
        # From a fitted read-out no step may be worth keeping, and then nothing has moved.
        monkeypatch.setattr("training.finetune.fit_readout", lambda *given: None)
    trunk, head, before, history = tune(strategy, epochs=3, learning_rate=1e-3)
    losses = [epoch["calibration_loss"] for epoch in history]
    assert strategy == "head" or min(losses) < losses[0]
    assert moved(before[0], trunk.state_dict()) == in_trunk
    assert moved(before[1], head.state_dict()) == in_head


def test_without_layer4_the_read_out_is_fitted_alone() -> None:
    torch.manual_seed(0)
    whole = resnet50(weights=None).state_dict()
    state = {key: value for key, value in whole.items() if not key.startswith(("layer4.", "fc."))}
    trunk, head = build_resnet50(2, state)
    before = copy.deepcopy(trunk.state_dict())
    history = finetune(
        trunk, head, parts(12, 0), parts(9, 1), FinetuneConfig("layer4", views=2), progress=False
    )
    assert [epoch["epoch"] for epoch in history] == [0]
    assert history[0]["calibration_accuracy"] == 1.0
    assert not moved(before, trunk.state_dict())


@pytest.fixture(scope="module")
def tuned():
    """Layer4 moved: trunk, head, their weights before, and the history."""
    return tune("layer4")


def test_batch_norm_statistics_stay_unless_asked_for(tuned) -> None:
    _, head, before, _ = tuned
    statistics = [key for key in before[1] if key.endswith(("running_mean", "running_var"))]
    assert statistics
    assert all(torch.equal(before[1][key], head.state_dict()[key]) for key in statistics)


def test_both_modules_end_in_evaluation_mode_without_gradients(tuned) -> None:
    trunk, head, _, _ = tuned
    assert not trunk.training
    assert not head.training
    assert not any(p.requires_grad for p in [*trunk.parameters(), *head.parameters()])


def test_same_seed_same_weights(tuned) -> None:
    first, second = tuned[1], tune("layer4")[1]
    assert torch.equal(first.fc.weight, second.fc.weight)
    assert not torch.equal(first.fc.weight, tune("layer4", seed=1)[1].fc.weight)


def test_it_learns_what_can_be_learnt() -> None:
    _, _, _, history = tune("layer4", epochs=4, epoch_samples=24, learning_rate=1e-3, patience=12)
    assert history[-1]["train_loss"] < 0.8 * history[1]["train_loss"]
    assert max(epoch["calibration_accuracy"] for epoch in history) == 1.0


@pytest.mark.parametrize("learning_rate", [1e-3, 0.5])
def test_stops_early_and_keeps_the_best_epoch(learning_rate: float) -> None:
    trunk, head, _, history = tune("layer4", epochs=50, patience=2, learning_rate=learning_rate)
    losses = [epoch["calibration_loss"] for epoch in history]
    best = history[losses.index(min(losses))]
    assert len(history) < 51
    assert best["epoch"] == len(history) - 1 - 2
    if learning_rate == 0.5:
        assert best["epoch"] == 0, "wild steps must not undo the fitted read-out"
    held_out = parts(9, 1)
    with torch.inference_mode():
        logits = head(trunk(torch.from_numpy(held_out.images)))
    accuracy = (logits.argmax(dim=1).numpy() == held_out.labels).astype(float)
    balanced = np.mean([accuracy[held_out.labels == label].mean() for label in (0, 1)])
    assert balanced == pytest.approx(best["calibration_accuracy"], abs=0.01)


def test_the_fitted_read_out_is_the_regression_in_the_features_own_scale() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 5)) * [1, 10, 0.1, 1, 1] + [0, 100, 0, 5, 0]
    labels = (features[:, 0] + 0.3 * rng.normal(size=60) > 0.8).astype(np.int64)
    readout = torch.nn.Linear(5, 2)
    train, truth = torch.from_numpy(features).float(), torch.from_numpy(labels)
    fit_readout(readout, train, truth, train, truth)
    with torch.no_grad():
        defect = readout(train).softmax(dim=1)[:, 1].numpy()
    assert ((defect > 0.5) == (labels == 1)).mean() > 0.85
    influence = np.abs(readout.weight[1].detach().numpy()) * features.std(axis=0)
    assert influence.argmax() == 0


def test_every_defect_class_counts_alike_in_the_read_out() -> None:
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 3)
    nothing = torch.zeros(len(labels), 4)
    readout = torch.nn.Linear(4, 3)
    fit_readout(readout, nothing, labels, nothing, labels)
    with torch.no_grad():
        probabilities = readout(nothing[:1]).softmax(dim=1)[0]
    assert probabilities.tolist() == pytest.approx([0.5, 0.25, 0.25], abs=0.01)


def test_real_photos_of_a_class_are_not_drowned_by_painted_ones() -> None:
    labels = np.array([0] * 4 + [1] * 2 + [1] * 50 + [2] * 10)
    painted = np.array([False] * 6 + [True] * 60)
    weights = balanced_weights(labels, painted)
    shares = [weights[those].sum() / weights.sum() for those in (slice(4), slice(4, 6), slice(6, 56))]
    assert shares == pytest.approx([0.5, 0.25 * REAL_SHARE, 0.25 * (1 - REAL_SHARE)])
    assert weights[56:].sum() / weights.sum() == pytest.approx(0.25), "painted ones alone are their class"
    np.testing.assert_array_equal(balanced_weights(labels[:6]), balanced_weights(labels[:6], painted[:6]))


def test_views_without_changes_are_the_photo() -> None:
    photo = parts(1, 0).images[0]
    still = Augmentation(horizontal_flip=False, vertical_flip=False, rotation=0, crop=0, light=0)
    assert np.array_equal(still.view(photo, np.random.default_rng(0)), photo)


def test_flips_can_be_turned_off_one_by_one() -> None:
    photo = np.zeros((8, 8, 3), dtype=np.uint8)
    photo[0, 0] = 255
    only_sideways = Augmentation(vertical_flip=False, rotation=0, crop=0, light=0)
    rng = np.random.default_rng(0)
    corners = {tuple(np.argwhere(only_sideways.view(photo, rng)[..., 0])[0]) for _ in range(40)}
    assert corners == {(0, 0), (0, 7)}


def test_views_stay_near_the_photo() -> None:
    photo = parts(1, 0).images[0]
    rng = np.random.default_rng(0)
    for _ in range(20):
        view = Augmentation().view(photo, rng)
        assert view.shape == photo.shape
        assert view.dtype == np.uint8
        assert abs(float(view.mean()) - float(photo.mean())) < 45


def test_a_view_is_the_same_in_whatever_order_it_is_drawn() -> None:
    photos, views = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 0, 1, 1])

    def cache() -> ViewCache:
        return ViewCache(None, parts(3, 0).images, Augmentation(), views=2, seed=5, device="cpu")

    together, one_by_one = cache(), cache()
    drawn = together.take(photos, views)
    for index in reversed(range(4)):
        alone = one_by_one.take(photos[index : index + 1], views[index : index + 1])
        assert torch.equal(alone[0], drawn[index])
    assert torch.equal(drawn[1], torch.from_numpy(parts(3, 0).images[1]))
    assert torch.equal(drawn[0], drawn[3])
