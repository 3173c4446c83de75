"""PaDiM's arithmetic: against its definition, and against anomalib's implementation."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.spatial.distance import mahalanobis

from models.errors import TrunkError
from models.networks.padim import Embedding, Padim, PadimFit, Smoothing, projection_matrix
from models.networks.padim_config import PadimConfig
from models.networks.resnet import LAYER_CHANNELS

SMALL = PadimConfig(dims=6, stride=8, smoothing=0.0)


def random_layers(n: int, seed: int = 0, size: tuple[int, int] = (64, 48)) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    height, width = size
    return [
        torch.randn(n, channels, height // stride, width // stride, generator=generator)
        for channels, stride in zip(LAYER_CHANNELS, (4, 8, 16), strict=True)
    ]


def fit(config: PadimConfig, layers: list[torch.Tensor], batch: int = 4) -> Padim:
    fitting = PadimFit(config)
    for start in range(0, len(layers[0]), batch):
        fitting.add([layer[start : start + batch] for layer in layers])
    return fitting.finish()


@pytest.mark.parametrize("projection", ["orthogonal", "subset"])
def test_projection_has_orthonormal_columns_and_follows_its_seed(projection: str) -> None:
    config = PadimConfig(dims=40, projection=projection, seed=3)
    matrix = projection_matrix(config)
    assert torch.allclose(matrix.T @ matrix, torch.eye(40), atol=1e-5)
    assert torch.equal(matrix, projection_matrix(config))
    assert not torch.equal(matrix, projection_matrix(PadimConfig(dims=40, projection=projection, seed=4)))


def test_subset_projection_picks_channels() -> None:
    matrix = projection_matrix(PadimConfig(dims=10, projection="subset"))
    assert torch.equal(matrix.sum(dim=0), torch.ones(10))
    assert set(matrix.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("dims", [0, 1793])
def test_dims_out_of_range_are_refused(dims: int) -> None:
    with pytest.raises(ValueError, match=r"1\.\.1792"):
        projection_matrix(PadimConfig(dims=dims))


def test_a_stride_without_a_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="stride"):
        Embedding(projection_matrix(SMALL), 32)


@pytest.mark.parametrize("stride", [4, 8, 16])
def test_embedding_equals_resizing_all_layers_and_then_projecting(stride: int) -> None:
    layers = random_layers(2)
    matrix = projection_matrix(SMALL)
    size = (64 // stride, 48 // stride)
    resized = [
        F.adaptive_avg_pool2d(layer, size)
        if layer.shape[2] > size[0]
        else F.interpolate(layer, size=size, mode="nearest")
        for layer in layers
    ]
    expected = torch.einsum("nchw,cd->ndhw", torch.cat(resized, dim=1), matrix)
    assert torch.allclose(Embedding(matrix, stride)(layers), expected, atol=1e-4)


def test_distances_are_mahalanobis_distances_to_the_good_photos() -> None:
    layers = random_layers(20)
    model = fit(SMALL, layers)
    probe = random_layers(1, seed=9)
    found = model.distances(probe)[0]
    embedding = Embedding(projection_matrix(SMALL), SMALL.stride)
    good, x = embedding(layers).double().numpy(), embedding(probe)[0].double().numpy()
    for row, column in [(0, 0), (3, 2), (7, 5)]:
        samples = good[:, :, row, column]
        covariance = np.cov(samples, rowvar=False) + SMALL.ridge(20) * np.eye(SMALL.dims)
        expected = mahalanobis(x[:, row, column], samples.mean(axis=0), np.linalg.inv(covariance))
        assert found[row, column].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("batch", [1, 3, 20])
def test_fit_does_not_depend_on_how_photos_are_batched(batch: int) -> None:
    layers = random_layers(20)
    whole, parts = fit(SMALL, layers, batch=7), fit(SMALL, layers, batch=batch)
    assert torch.allclose(whole.mean, parts.mean, atol=1e-5)
    for a, b in zip(whole.whitening, parts.whitening, strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-4)


def test_fit_keeps_small_variances_beside_a_large_mean() -> None:
    layers = [1000.0 + 0.1 * layer for layer in random_layers(200)]
    config = PadimConfig(dims=6, stride=16, smoothing=0.0, regularisation=1e-6)
    distances = fit(config, layers, batch=50).distances(layers)
    # Squared Mahalanobis distances of the fitted photos themselves average to d (n - 1) / n.
    assert distances.square().mean().item() == pytest.approx(6 * 199 / 200, rel=0.02)


def test_memory_of_the_fit_does_not_grow_with_the_photos() -> None:
    def bytes_held(n: int) -> int:
        fitting = PadimFit(SMALL)
        layers = random_layers(4)
        for _ in range(n // 4):
            fitting.add(layers)
        held = [v if isinstance(v, list) else [v] for v in vars(fitting).values()]
        tensors = [value for values in held for value in values if isinstance(value, torch.Tensor)]
        return sum(tensor.element_size() * tensor.nelement() for tensor in tensors)

    assert bytes_held(4) == bytes_held(64)


def test_fewer_than_two_photos_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        fit(SMALL, random_layers(1))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e12])
def test_features_that_nothing_can_be_fitted_to_are_refused(value: float) -> None:
    layers = random_layers(8)
    layers[2][0, 0, 0, 0] = value
    with pytest.raises(TrunkError, match="features"):
        fit(SMALL, layers)


def test_few_photos_get_more_on_the_diagonal_unless_it_is_given() -> None:
    assert PadimConfig().ridge(25) == 10 * PadimConfig().ridge(250)
    assert PadimConfig().ridge(250) == pytest.approx(0.01)
    assert PadimConfig(regularisation=0.3).ridge(25) == 0.3


def test_smoothing_keeps_flat_maps_and_spreads_a_peak() -> None:
    smooth = Smoothing(1.0)
    flat = torch.full((2, 9, 11), 3.5)
    assert torch.allclose(smooth(flat), flat)
    peak = torch.zeros(1, 15, 15)
    peak[0, 7, 7] = 1.0
    spread = smooth(peak)[0]
    assert spread.sum().item() == pytest.approx(1.0, abs=1e-5)
    assert spread[7, 7] == spread.max()
    assert torch.allclose(spread, spread.T)
    expected = float(torch.exp(torch.tensor(-0.5)))
    assert (spread[7, 8] / spread[7, 7]).item() == pytest.approx(expected, rel=1e-5)


def test_no_smoothing_leaves_the_map() -> None:
    maps = torch.rand(1, 4, 4)
    assert Smoothing(0.0)(maps) is maps


def test_score_is_the_largest_value_of_the_map() -> None:
    model = fit(PadimConfig(dims=6, smoothing=8.0), random_layers(8))
    anomaly_map, score = model(random_layers(3, seed=5))
    assert torch.equal(score, anomaly_map.flatten(1).max(dim=1).values)


ORACLE = textwrap.dedent(
    """
    import json, torch
    from anomalib.models.image.padim.torch_model import PadimModel
    from models.networks.padim import Embedding, Padim, PadimFit, subset_matrix
    from models.networks.padim_config import PadimConfig
    from models.networks.resnet import MEAN, STD, build_resnet50

    torch.manual_seed(0)
    oracle = PadimModel("resnet50", ["layer1", "layer2", "layer3"], pre_trained=False, n_features=50)
    extractor = oracle.feature_extractor.feature_extractor
    state = build_resnet50(2)[1].state_dict()
    names = {name: value for name, value in extractor.state_dict().items()}
    trunk, head = build_resnet50(2)
    for name, module in (("layer1", trunk.layer1), ("layer2", trunk.layer2), ("layer3", trunk.layer3)):
        for key in module.state_dict():
            module.state_dict()[key].copy_(names[f"{name}.{key}"])
    trunk.stem.conv1.weight.data.copy_(names["conv1.weight"])
    for key in trunk.stem.bn1.state_dict():
        trunk.stem.bn1.state_dict()[key].copy_(names[f"bn1.{key}"])

    images = torch.randint(0, 256, (16, 224, 224, 3), dtype=torch.uint8)
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    normal = (images.permute(0, 3, 1, 2) / 255 - mean) / std
    good, probe = slice(0, 12), slice(12, 16)
    with torch.inference_mode():
        oracle.train(); oracle.feature_extractor.eval()
        oracle(normal[good]); oracle.fit(); oracle.eval()
        features = oracle.generate_embedding(oracle.feature_extractor(normal[probe]))
        flat = features.flatten(2).permute(2, 0, 1)
        residual = flat - oracle.gaussian.mean.T[:, None]
        squared = torch.einsum("pnd,pde,pne->pn", residual, oracle.gaussian.inv_covariance, residual)
        expected = squared.sqrt().T.reshape(4, 56, 56)

        ours = PadimFit(PadimConfig(dims=50, stride=4, regularisation=0.01001))
        ours.embedding = Embedding(subset_matrix(oracle.idx.tolist()), 4)
        for start in (0, 5, 10):
            ours.add(trunk(images[good][start : start + 5]))
        found = ours.finish().distances(trunk(images[probe]))
    worst = ((found - expected).abs() / expected).max().item()
    print(json.dumps({"worst": worst, "spread": (expected.max() / expected.min()).item()}))
    """
)


@pytest.mark.real
def test_distances_agree_with_anomalib_on_real_sized_input() -> None:
    """In a process of its own: importing anomalib takes seconds and warns of its own internals."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ORACLE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["spread"] > 1.5, "distances that are all alike prove nothing"
    assert result["worst"] < 1e-3
