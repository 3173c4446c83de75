"""What is exported gives what torch gives, or is refused."""

import copy
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from models.errors import ExportError, UsageError
from models.networks.padim import PadimFit
from models.networks.padim_config import PadimConfig
from models.networks.resnet import build_resnet50
from training.export import compare_with_torch, export_graphs
from training.plan import check_exportable
from training.variants.half_graph import half_graph

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
    altered = copy.deepcopy(graphs["padim"])
    with torch.inference_mode():
        altered.padim.mean.add_(0.05)
    with pytest.raises(ExportError, match="padim_map"):
        compare_with_torch(folder, {"padim": altered}, images)


class Given(torch.nn.Module):
    """Stands in for a graph: the same map for every photo."""

    def __init__(self, anomaly_map: torch.Tensor) -> None:
        super().__init__()
        self.map = torch.nn.Parameter(anomaly_map, requires_grad=False)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        maps = self.map + 0.0 * image.float().mean(dim=(1, 2, 3))[:, None, None]
        return maps, maps.amax(dim=(1, 2))


def write(graph: torch.nn.Module, path: Path) -> None:
    example = torch.zeros((1, 4, 4, 3), dtype=torch.uint8)
    names = ["anomaly_map", "anomaly_score"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(graph, (example,), path, input_names=["image"], output_names=names, verbose=False)


def test_rounding_on_a_plain_background_is_no_difference(tmp_path: Path) -> None:
    """Where all photos are alike, distances are rounding errors; those of torch and of ONNX differ."""
    write(Given(torch.tensor([[20.0, 0.0]])), tmp_path / "padim.onnx")
    images = np.zeros((3, 4, 4, 3), np.uint8)
    rounded = {"padim": Given(torch.tensor([[20.0, 1e-6]]))}
    assert compare_with_torch(tmp_path, rounded, images)["padim_map"] < 1e-6
    with pytest.raises(ExportError, match="padim_map"):
        compare_with_torch(tmp_path, {"padim": Given(torch.tensor([[20.0, 0.1]]))}, images)


def test_a_padim_that_no_file_can_hold_is_refused_at_once() -> None:
    check_exportable((512, 512), PadimConfig(dims=300, stride=8))
    with pytest.raises(UsageError, match=r"3\.4 GiB") as caught:
        check_exportable((512, 512), PadimConfig(dims=320, stride=4))
    assert "--grid-stride" in caught.value.remedy


def test_the_exported_graph_can_be_had_in_fp16(exported) -> None:
    """The trunk is known by the names that the exporter gives its weights."""
    folder, _, images = exported
    model = onnx.load(folder / "inspector.onnx")
    half = half_graph(model)
    weights = {i.name: i.data_type for i in half.graph.initializer}
    convolutions = [node for node in half.graph.node if node.op_type == "Conv"]
    fp16 = [node for node in convolutions if weights[node.input[1]] == onnx.TensorProto.FLOAT16]
    assert len(fp16) == 53, "each convolution of ResNet50, and none of PaDiM's"
    seams = sum(n.op_type == "Cast" for n in half.graph.node) - sum(
        n.op_type == "Cast" for n in model.graph.node
    )
    assert seams == 5, "the image, and what leaves layer1 to layer4"
    session = ort.InferenceSession(half.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.run(["anomaly_map"], {"image": images[:1]})[0].dtype == np.float32


# Every operator of the served graphs. All have a kernel in ONNX Runtime's CUDA provider, in fp32 and, those
# of the trunk, in fp16 (seen with onnxruntime-gpu 1.31: nothing was left to the CPU). Look a new one up
# there: a session on CUDA that leaves anything to the CPU is refused. Operators of shapes do not belong
# here, since ONNX Runtime computes shapes on the CPU.
ON_CUDA = {
    *(
        "Add",
        "AveragePool",
        "Cast",
        "Concat",
        "Conv",
        "Gather",
        "Gemm",
        "MatMul",
        "MaxPool",
        "Mul",
        "Pad",
        "Pow",
    ),
    *("ReduceMax", "ReduceMean", "ReduceSum", "Relu", "Reshape", "Resize", "Softmax", "Sqrt", "Sub"),
    *("Slice", "Transpose", "Unsqueeze"),
}


def test_nothing_in_the_graph_would_be_left_to_the_cpu(exported) -> None:
    folder, _, _ = exported
    for name in ("inspector", "classifier", "padim"):
        model = onnx.load(folder / f"{name}.onnx")
        assert {node.op_type for node in model.graph.node} <= ON_CUDA
        assert {node.op_type for node in half_graph(model).graph.node} <= ON_CUDA
