"""The joint graph says what each opinion says alone."""

import pytest
import torch

from models.networks.joint import ClassifierGraph, JointGraph, PadimGraph
from models.networks.padim import PadimFit
from models.networks.padim_config import PadimConfig
from models.networks.resnet import build_resnet50


@pytest.fixture(scope="module")
def pieces():
    torch.manual_seed(0)
    trunk, head = build_resnet50(3)
    images = torch.randint(0, 256, (6, 64, 48, 3), dtype=torch.uint8)
    with torch.inference_mode():
        fitting = PadimFit(PadimConfig(dims=8))
        fitting.add(trunk(images))
        padim = fitting.finish()
    return trunk, head, padim, images


@torch.inference_mode()
def test_joint_graph_gives_both_opinions(pieces) -> None:
    trunk, head, padim, images = pieces
    probabilities, anomaly_map, score = JointGraph(trunk, head, padim)(images)
    assert probabilities.shape == (6, 3)
    assert anomaly_map.shape == (6, 8, 6)
    assert score.shape == (6,)
    assert torch.allclose(probabilities, ClassifierGraph(trunk, head)(images))
    alone_map, alone_score = PadimGraph(trunk, padim)(images)
    assert torch.equal(anomaly_map, alone_map)
    assert torch.equal(score, alone_score)
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(6))


@torch.inference_mode()
def test_without_defect_classes_clean_is_certain(pieces) -> None:
    trunk, _, padim, images = pieces
    probabilities, _, _ = JointGraph(trunk, None, padim)(images)
    assert torch.equal(probabilities, torch.ones(6, 1))
