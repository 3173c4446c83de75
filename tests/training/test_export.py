"""What is exported gives what torch gives, or is refused."""

import copy

import numpy as np
import onnx
import pytest
import torch

from models.errors import ExportError
from models.networks.padim import PadimConfig, PadimFit
from models.networks.resnet import build_resnet50
from training.export import compare_with_torch, export_graphs

pytestmark = pytest.mark.slow
SIZE = (64, 96)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graphs")
    torch.manual_seed(0)
    trunk, head = build_resnet50(3)
    images = np.random.default_rng(0).integers(0, 256, (16, *SIZE, 3)).astype(np.uint8)
    with torch.inference_mode():
        fitting = PadimFit(PadimConfig(dims=10))
        fitting.add(trunk(torch.from_numpy(images)))
        padim = fitting.finish()
    return folder, export_graphs(folder, trunk, head, padim, SIZE), images


def test_three_graphs_with_declared_inputs_and_outputs(exported) -> None:
    folder, graphs, _ = exported
    assert set(graphs) == {"inspector", "classifier", "padim"}
    graph = onnx.load(folder / "inspector.onnx").graph
    image = graph.input[0]
    assert image.name == "image"
    assert image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    dims = image.type.tensor_type.shape.dim
    assert dims[0].dim_param, "any batch size is taken"
    assert [d.dim_value for d in dims[1:]] == [*SIZE, 3]
    assert [output.name for output in graph.output] == ["probabilities", "anomaly_map", "anomaly_score"]
    assert not list(folder.glob("*.data")), "weights are inside the file"


def test_files_agree_with_torch(exported) -> None:
    folder, graphs, images = exported
    worst = compare_with_torch(folder, graphs, images)
    assert worst["photos"] == 16
    assert 0 < worst["inspector_score"] < 1e-3
    assert worst["inspector_probability"] < 1e-4
    assert {"classifier_probability", "padim_score", "padim_map"} <= worst.keys()


def test_a_graph_that_differs_fails_the_export(exported) -> None:
    folder, graphs, images = exported
    altered = copy.deepcopy(graphs)
    with torch.inference_mode():
        altered["padim"].padim.mean.add_(0.05)
    with pytest.raises(ExportError, match="padim_map"):
        compare_with_torch(folder, altered, images)
