"""PaDiM without places: a mixture over all patches, whatever the photo, in bounded memory."""

import warnings

import numpy as np
import onnxruntime
import pytest
import torch
from scipy.spatial.distance import mahalanobis

import models.networks.free_fit
from models.errors import TrunkError
from models.networks.free_fit import FreePadimFit
from models.networks.free_padim import FreePadim, surroundings
from models.networks.padim import Embedding, projection_matrix
from models.networks.padim_config import PadimConfig
from models.networks.reservoir import Reservoir
from models.networks.resnet import LAYER_CHANNELS

SMALL = PadimConfig(dims=6, stride=8, smoothing=0.0, regularisation=0.05)


def random_layers(n: int, seed: int = 0, kinds: int = 1) -> list[torch.Tensor]:
    """Layers of photos of 64 x 48 pixels whose places are of several kinds, scattered anywhere."""
    generator = torch.Generator().manual_seed(seed)
    levels = torch.randn(kinds, sum(LAYER_CHANNELS), generator=torch.Generator().manual_seed(99))
    coarse = torch.randint(kinds, (n, 4, 3), generator=generator)
    layers = []
    for own, stride in zip(torch.split(levels, list(LAYER_CHANNELS), dim=1), (4, 8, 16), strict=True):
        fold = 16 // stride
        kind = coarse.repeat_interleave(fold, dim=1).repeat_interleave(fold, dim=2)
        noise = torch.randn(n, own.shape[1], *kind.shape[1:], generator=generator)
        layers.append(3 * own[kind].permute(0, 3, 1, 2) + noise)
    return layers


def fit(layers: list[torch.Tensor], config: PadimConfig = SMALL, batch: int = 4) -> FreePadim:
    fitting = FreePadimFit(config)
    for start in range(0, len(layers[0]), batch):
        fitting.add([layer[start : start + batch] for layer in layers])
    return fitting.finish()


def test_one_component_gives_the_mahalanobis_distance_to_all_patches(monkeypatch) -> None:
    monkeypatch.setattr(models.networks.free_fit, "MOST_COMPONENTS", 1)
    layers, probe = random_layers(20), random_layers(1, seed=9)
    found = fit(layers).distances(probe)[0]
    embedding = Embedding(projection_matrix(SMALL), SMALL.stride)
    good = surroundings(embedding(layers)).permute(0, 2, 3, 1).reshape(-1, 6).double().numpy()
    x = surroundings(embedding(probe))[0].double().numpy()
    covariance = np.cov(good, rowvar=False, bias=True) + SMALL.regularisation * np.eye(6)
    for row, column in [(0, 0), (3, 2), (7, 5)]:
        expected = mahalanobis(x[:, row, column], good.mean(axis=0), np.linalg.inv(covariance))
        assert found[row, column].item() == pytest.approx(expected, rel=1e-4)


def test_the_likeliest_component_counts_and_a_wide_one_costs() -> None:
    embedding = Embedding(projection_matrix(SMALL), SMALL.stride)
    covariances = torch.stack([torch.eye(6), 25.0 * torch.eye(6)])
    means = torch.tensor([[0.0] * 6, [4.0] + [0.0] * 5])
    spread = torch.logdet(covariances)
    whitening = torch.linalg.inv(torch.linalg.cholesky(covariances)).transpose(1, 2)
    model = FreePadim(embedding, torch.ones(6), means, whitening, spread, 0.0)
    layers = random_layers(2)
    x = surroundings(embedding(layers)).permute(0, 2, 3, 1).reshape(-1, 6)
    density = [
        torch.distributions.MultivariateNormal(mean + 1, covariance).log_prob(x)
        for mean, covariance in zip(means, covariances, strict=True)
    ]
    expected = -2 * torch.stack(density).amax(dim=0) - 6 * np.log(2 * np.pi)
    assert torch.allclose(model.distances(layers).flatten().square(), expected, rtol=1e-4)


def test_parts_that_move_look_alike_and_what_is_new_does_not() -> None:
    model = fit(random_layers(60, kinds=3))
    _, moved = model(random_layers(20, seed=1, kinds=3))
    odd = random_layers(20, seed=2, kinds=3)
    for layer, size in zip(odd, (4, 2, 1), strict=True):
        layer[:, :, size : 2 * size, size : 2 * size] += 3.0
    _, changed = model(odd)
    assert changed.min() > moved.max()


def test_the_score_is_the_largest_value_of_the_map() -> None:
    anomaly_map, score = fit(random_layers(8))(random_layers(3, seed=5))
    assert anomaly_map.shape == (3, 8, 6)
    assert torch.equal(score, anomaly_map.flatten(1).max(dim=1).values)


def test_the_seed_alone_says_which_patches_are_kept(monkeypatch) -> None:
    monkeypatch.setattr(models.networks.free_fit, "_SAMPLE_BYTES", 4 * 6 * 300)
    layers, probe = random_layers(20, kinds=3), random_layers(2, seed=5, kinds=3)
    found = [fit(layers, batch=batch).distances(probe) for batch in (1, 7, 20)]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_a_reservoir_is_a_uniform_sample_of_bounded_size() -> None:
    def draw(seed: int) -> torch.Tensor:
        sample = Reservoir(500, seed)
        for start in range(0, 5000, 37):
            sample.add(torch.arange(start, min(start + 37, 5000))[:, None].float())
        return sample.rows()[:, 0]

    rows = draw(0)
    assert torch.equal(rows, draw(0))
    assert not torch.equal(rows, draw(1))
    assert rows.shape == (500,)
    assert len(rows.unique()) == 500
    # Each tenth of the stream is expected to have 50 rows, with a deviation of 6.4.
    counts = torch.histc(rows, bins=10, min=0, max=5000)
    assert counts.min() > 25
    assert counts.max() < 75


def test_fewer_than_two_photos_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        fit(random_layers(1))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_features_that_nothing_can_be_fitted_to_are_refused(value: float) -> None:
    layers = random_layers(8)
    layers[2][0, 0, 0, 0] = value
    with pytest.raises(TrunkError, match="features"):
        fit(layers)


@pytest.mark.slow
def test_the_exported_graph_takes_any_number_of_photos(tmp_path) -> None:
    model, path = fit(random_layers(20, kinds=3), PadimConfig(dims=40)), tmp_path / "free.onnx"
    names = ["layer1", "layer2", "layer3"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        any_number = {0: torch.export.Dim("N", min=1, max=1024)}
        torch.onnx.export(
            model,
            (random_layers(2, seed=3),),
            path,
            input_names=names,
            output_names=["map", "score"],
            dynamic_shapes=([any_number] * 3,),
            opset_version=18,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, 3):
        probe = random_layers(count, seed=4, kinds=3)
        given = {name: layer.numpy() for name, layer in zip(names, probe, strict=True)}
        for found, expected in zip(session.run(None, given), model(probe), strict=True):
            np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4)
