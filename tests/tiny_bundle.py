"""A real, complete bundle in milliseconds: a small ONNX graph that judges the pixels it is given.

What it sees, on photos of any size:
- strongly red (then green, then blue) areas raise the probability of the first (second, third) defect class;
- brightness away from mid-grey raises the anomaly map, whose largest value is the score;
- its quality gate takes any photo but a nearly black or white one, unless another gate is given;
- a photo that is yellow all over makes the graph fail, and one that is magenta all over gives NaN.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.bundle import GOLDEN_RESULTS, SPLITS, Bundle, GoldenResult, sha256_of_file, write_manifest
from models.decision import Limits
from models.inspector import Inspector
from models.manifest import (
    DatasetFingerprint,
    HeatmapScale,
    LimitOrigin,
    LimitOrigins,
    Manifest,
    RateInterval,
    TrunkProvenance,
    Variant,
)
from models.mean_part import MEAN_PART
from models.preprocessing import Preprocessing
from models.quality import QualityGate, Range
from models.session import open_session

Pixels = npt.NDArray[np.uint8]

STRIDE = 8
ANOMALY_LIMIT = 3.0
PHOTO_SIZE = (160, 160)
WIDE_GATE = QualityGate(limits={"brightness": Range(low=0.02, high=0.98)})


def clean_photo(size: tuple[int, int] = PHOTO_SIZE, seed: int = 0) -> Pixels:
    """A mid-grey part with a fine texture: uint8 RGB [H, W, 3]; another seed gives another photo."""
    noise = np.random.default_rng(seed).integers(-8, 9, size=(*size, 1))
    return np.repeat(128 + noise, 3, axis=2).astype(np.uint8)


def scratched_photo(size: tuple[int, int] = PHOTO_SIZE, seed: int = 0) -> Pixels:
    """A clean photo with a broad red scratch left of its middle: both rules fire."""
    return _with_patch(clean_photo(size, seed), (230, 15, 15), top=0.25, left=0.2, height=0.5, width=0.2)


def anomalous_photo(size: tuple[int, int] = PHOTO_SIZE, seed: int = 0) -> Pixels:
    """A clean photo with a white spot near its lower right corner: only the anomaly rule fires."""
    return _with_patch(clean_photo(size, seed), (250, 250, 250), top=0.6, left=0.6, height=0.25, width=0.25)


def poisonous_photo(size: tuple[int, int] = PHOTO_SIZE) -> Pixels:
    """A photo on which the graph fails, and with it the whole batch; encode it without loss."""
    return np.full((*size, 3), (255, 255, 0), dtype=np.uint8)


def unmeasurable_photo(size: tuple[int, int] = PHOTO_SIZE) -> Pixels:
    """A photo for which the graph gives NaN; encode it without loss."""
    return np.full((*size, 3), (255, 0, 255), dtype=np.uint8)


def encode(pixels: Pixels, suffix: str = ".png") -> bytes:
    """Encode uint8 RGB [H, W, 3] or grey [H, W] as the format of the suffix."""
    ordered = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    done, data = cv2.imencode(suffix, ordered)
    assert done, f"OpenCV cannot write {suffix}"
    return data.tobytes()


def make_tiny_bundle(
    folder: Path,
    *,
    part: str = "bracket",
    version: str = "20260101-000000",
    classes: Sequence[str] = ("clean", "scratched"),
    size: tuple[int, int] = (64, 64),
    limits: Limits | None = None,
    quality: QualityGate = WIDE_GATE,
    mean: bool = True,
) -> Path:
    """Write a bundle to `folder/<part>/<version>` and return that path.

    Args:
        folder: the bundles folder; made if missing.
        part, version, classes, size, limits, quality: as in the manifest; at most three defect classes.
            Without `limits`, the rules fire at a defect probability of 0.5 and an anomaly score of 3.
        mean: whether it holds the mean clean part, which is mid-grey.
    """
    path = folder / part / version
    (path / "golden").mkdir(parents=True)
    onnx.save(tiny_graph(len(classes), size), path / "inspector.onnx")
    (path / "report.html").write_text("<!doctype html><title>Tiny</title><p>A bundle for tests.</p>\n")
    (path / SPLITS).write_text("[]\n")
    if mean:
        (path / MEAN_PART).write_bytes(encode(np.full((*size, 3), 128, dtype=np.uint8)))
    golden = {"clean": clean_photo(), "anomalous": anomalous_photo()}
    if len(classes) > 1:
        golden[classes[1]] = scratched_photo()
    for label, pixels in golden.items():
        (path / "golden" / f"{label}.png").write_bytes(encode(pixels))

    limits = limits or Limits(classifier=0.5 if len(classes) > 1 else None, anomaly=ANOMALY_LIMIT)
    draft = manifest_of(part, version, list(classes), size, limits, quality, {"inspector.onnx": ""})
    photos = {label: f"golden/{label}.png" for label in golden}
    (path / GOLDEN_RESULTS).write_text(json.dumps(golden_results(path, draft, photos), indent=2))
    names = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
    files = {name: sha256_of_file(path / name) for name in names}
    write_manifest(path, manifest_of(part, version, list(classes), size, limits, quality, files))
    return path


def tiny_graph(classes: int, size: tuple[int, int]) -> onnx.ModelProto:
    """The graph: `image` uint8 [N, H, W, 3] to `probabilities`, `anomaly_map` and `anomaly_score`."""
    height, width = size
    values = {
        "white": np.float32(255),
        "half": np.float32(0.5),
        "ten": np.float32(10),
        "strong": np.float32(0.3),
        "steep": np.float32(300),
        "few": np.float32(0.02),
        "other_channels": np.float32([[0, 1, 1], [1, 0, 1], [1, 1, 0]]),
        "two": np.float32(2),
        "yellow": np.float32([1, 1, 0]),
        "magenta": np.float32([1, 0, 1]),
        "far": np.int64(1000),
        "one": np.ones(1, np.float32),
        "hw": np.int64([1, 2]),
        "last": np.int64([-1]),
        "channel": np.int64([1]),
        "starts": np.int64([0]),
        "defects": np.int64([classes - 1]),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["floats", "white"], ["rgb"]),
        # Share of pixels in which one channel stands out from the mean of the other two.
        helper.make_node("MatMul", ["rgb", "other_channels"], ["others"]),
        helper.make_node("Div", ["others", "two"], ["others_mean"]),
        helper.make_node("Sub", ["rgb", "others_mean"], ["excess"]),
        helper.make_node("Greater", ["excess", "strong"], ["stands_out"]),
        helper.make_node("Cast", ["stands_out"], ["standing"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["standing", "hw"], ["shares"], keepdims=0),
        helper.make_node("Slice", ["shares", "starts", "defects", "channel"], ["defect_shares"]),
        helper.make_node("Sub", ["defect_shares", "few"], ["above_few"]),
        helper.make_node("Mul", ["above_few", "steep"], ["defect_logits"]),
        helper.make_node("Pad", ["defect_logits", "pads"], ["logits"], mode="constant"),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        # Pooled distance from mid-grey.
        helper.make_node("Sub", ["rgb", "half"], ["centred"]),
        helper.make_node("Abs", ["centred"], ["distance"]),
        helper.make_node("ReduceMean", ["distance", "last"], ["grey_distance"], keepdims=0),
        helper.make_node("Unsqueeze", ["grey_distance", "channel"], ["plane"]),
        helper.make_node(
            "AveragePool", ["plane"], ["pooled"], kernel_shape=[STRIDE, STRIDE], strides=[STRIDE, STRIDE]
        ),
        helper.make_node("Squeeze", ["pooled", "channel"], ["grid"]),
        helper.make_node("Mul", ["grid", "ten"], ["anomaly_map"]),
        helper.make_node("ReduceMax", ["anomaly_map", "hw"], ["largest"], keepdims=0),
        # A yellow photo looks up an entry that does not exist; a magenta one divides nought by nought.
        helper.make_node("ReduceMean", ["rgb", "hw"], ["mean_colour"], keepdims=0),
        *_closeness("yellow"),
        helper.make_node("Cast", ["is_yellow"], ["yellow_index"], to=TensorProto.INT64),
        helper.make_node("Mul", ["yellow_index", "far"], ["index"]),
        helper.make_node("Gather", ["one", "index"], ["ones"]),
        *_closeness("magenta"),
        helper.make_node("Not", ["is_magenta"], ["measurable"]),
        helper.make_node("Cast", ["measurable"], ["numerator"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["numerator", "numerator"], ["one_or_nan"]),
        helper.make_node("Mul", ["largest", "ones"], ["checked"]),
        helper.make_node("Mul", ["checked", "one_or_nan"], ["anomaly_score"]),
    ]
    values["pads"] = np.int64([0, 1, 0, 0])
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", height, width, 3])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", classes]),
            helper.make_tensor_value_info(
                "anomaly_map", TensorProto.FLOAT, ["N", height // STRIDE, width // STRIDE]
            ),
            helper.make_tensor_value_info("anomaly_score", TensorProto.FLOAT, ["N"]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def _closeness(colour: str) -> list[onnx.NodeProto]:
    """Nodes that compute `is_<colour>`, bool [N]: the photo's mean colour is that colour."""
    return [
        helper.make_node("Sub", ["mean_colour", colour], [f"{colour}_difference"]),
        helper.make_node("Abs", [f"{colour}_difference"], [f"{colour}_gap"]),
        helper.make_node("ReduceMax", [f"{colour}_gap", "last"], [f"{colour}_largest_gap"], keepdims=0),
        helper.make_node("Less", [f"{colour}_largest_gap", "few"], [f"is_{colour}"]),
    ]


def _with_patch(
    photo: Pixels, colour: tuple[int, int, int], *, top: float, left: float, height: float, width: float
) -> Pixels:
    rows, columns = photo.shape[:2]
    y, x = round(top * rows), round(left * columns)
    photo[y : y + round(height * rows), x : x + round(width * columns)] = colour
    return photo


def golden_results(path: Path, manifest: Manifest, photos: Mapping[str, str]) -> list[dict[str, object]]:
    """What the bundle's graph gives for its golden photos, `{label: file}`, as the bundle records it."""
    inspector = Inspector(Bundle(path, manifest), open_session(path / "inspector.onnx", "cpu", threads=1))
    results = []
    for label, file in photos.items():
        answer, _, outputs = inspector.inspect((path / file).read_bytes())
        assert answer.score is not None
        result = GoldenResult(
            file=file,
            label=label,
            verdict=answer.verdict,
            score=answer.score,
            probabilities=[float(p) for p in outputs.probabilities],
            anomaly_score=outputs.anomaly_score,
        )
        results.append(result.model_dump())
    return results


def manifest_of(
    part: str,
    version: str,
    classes: list[str],
    size: tuple[int, int],
    limits: Limits,
    quality: QualityGate,
    files: dict[str, str],
) -> Manifest:
    """A manifest of a bundle for tests; the graph is `inspector.onnx`, its grid of stride 8."""
    origin = LimitOrigin(
        method="conformal",
        target=0.005,
        supported=0.005,
        n_good=199,
        n_defective=50,
        false_rejects=RateInterval(rate=0.0, low=0.0, high=0.018),
    )
    return Manifest(
        part=part,
        version=version,
        created=datetime(2026, 1, 1, tzinfo=UTC),
        classes=classes,
        preprocessing=Preprocessing(height=size[0], width=size[1]),
        grid=(size[0] // STRIDE, size[1] // STRIDE),
        limits=limits,
        limit_origins=LimitOrigins(classifier=origin if limits.classifier else None, anomaly=origin),
        heatmap=HeatmapScale(start=0.8 * limits.anomaly, limit=limits.anomaly, top=2 * limits.anomaly),
        trunk=TrunkProvenance(name="tiny", sha256="0" * 64, licence="made for tests"),
        dataset=DatasetFingerprint(layout="painted", sha256="0" * 64, photos={}, skipped=0),
        training={},
        metrics={},
        agreement={},
        libraries={},
        variants={"fp32": Variant(file="inspector.onnx", precision="fp32")},
        quality=quality,
        files=files,
    )
