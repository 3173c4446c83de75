"""The stack that Glint is compared with: each library as its own documentation shows it, behind FastAPI.

anomalib's PaDiM is exported with `to_torch` and run by `TorchInferencer`; a ResNet50 of torchvision tells the
defect classes; a `def` handler takes the photo as a form, and answers JSON with the overlay in base64. Two
kinder ways of running the same models are selectable:

- `tuned`: in `torch.inference_mode`, on all cores, one request at a time, so that requests do not take the
  cores from each other.
- `exported`: both models as ONNX files (anomalib's `to_onnx`, `torch.onnx.export`) in ONNX Runtime.

    python -m tests.benchmarks.plain_stack FOLDER            writes the models, with random weights
    python -m tests.benchmarks.plain_stack FOLDER KIND PORT  serves them

The weights do not matter for speed.
"""

import base64
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torchvision
import uvicorn
from fastapi import FastAPI, UploadFile
from torchvision.transforms import v2

from models.cores import usable_cores

KINDS = ("plain", "tuned", "exported")
CLASSES = ("clean", "scratched")
SIZE = (224, 224)
DIMS = 100
GRID = 56
LIMIT = 0.5
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# A photo, uint8 RGB [H, W, 3], to defect probability, anomaly score and anomaly map [h, w].
Model = Callable[[np.ndarray], tuple[float, float, np.ndarray]]


def write_models(folder: Path) -> None:
    """Export a PaDiM and a classifier of the usual sizes into `folder`."""
    from anomalib.models import Padim

    torch.manual_seed(0)
    padim = Padim(backbone="resnet50", pre_trained=False, n_features=DIMS, pre_processor=_pre_processor())
    padim.model.gaussian.mean = torch.zeros(DIMS, GRID * GRID)
    padim.model.gaussian.inv_covariance = torch.eye(DIMS).repeat(GRID * GRID, 1, 1)
    padim.eval().to_torch(folder)
    padim.to_onnx(folder, input_size=SIZE, opset_version=18)
    classifier = torchvision.models.resnet50(num_classes=len(CLASSES)).eval()
    torch.save(classifier.state_dict(), folder / "classifier.pt")
    example = torch.zeros(1, 3, *SIZE)
    torch.onnx.export(classifier, (example,), folder / "classifier.onnx", input_names=["input"], dynamo=True)


def _pre_processor() -> Any:
    from anomalib.pre_processing import PreProcessor

    return PreProcessor(
        transform=v2.Compose([v2.Resize(SIZE, antialias=True), v2.Normalize(MEAN, DEVIATION)])
    )


def torch_model(folder: Path) -> Model:
    """Both models in torch, as they were exported."""
    from anomalib.deploy import TorchInferencer

    inferencer = TorchInferencer(path=folder / "weights" / "torch" / "model.pt", device="cpu")
    classifier = torchvision.models.resnet50(num_classes=len(CLASSES)).eval()
    classifier.load_state_dict(torch.load(folder / "classifier.pt", weights_only=True))
    transform = v2.Compose(
        [
            v2.ToImage(),
            v2.Resize(SIZE, antialias=True),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, DEVIATION),
        ]
    )

    def run(photo: np.ndarray) -> tuple[float, float, np.ndarray]:
        with torch.no_grad():
            probabilities = classifier(transform(photo)[None]).softmax(dim=1)[0]
        prediction = inferencer.predict(photo)
        return float(probabilities[1]), float(prediction.pred_score), prediction.anomaly_map[0].numpy()

    return run


def tuned_model(folder: Path) -> Model:
    """The same, each request having all cores to itself."""
    torch.set_num_threads(usable_cores())
    model, turn = torch_model(folder), threading.Lock()

    def run(photo: np.ndarray) -> tuple[float, float, np.ndarray]:
        with turn, torch.inference_mode():
            return model(photo)

    return run


def exported_model(folder: Path) -> Model:
    """Both ONNX files in ONNX Runtime with its own defaults."""
    import onnxruntime

    files = folder / "weights" / "onnx" / "model.onnx", folder / "classifier.onnx"
    padim, classifier = (onnxruntime.InferenceSession(f, providers=["CPUExecutionProvider"]) for f in files)
    names = [output.name for output in padim.get_outputs()]

    def run(photo: np.ndarray) -> tuple[float, float, np.ndarray]:
        small = cv2.resize(photo, SIZE[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        image = np.ascontiguousarray(small.transpose(2, 0, 1))[None]
        found = dict(zip(names, padim.run(None, {padim.get_inputs()[0].name: image}), strict=True))
        mean, deviation = (np.float32(values).reshape(1, 3, 1, 1) for values in (MEAN, DEVIATION))
        logits = classifier.run(None, {"input": (image - mean) / deviation})[0][0]
        shares = np.exp(logits - logits.max())
        return (
            float(shares[1] / shares.sum()),
            float(found["pred_score"].reshape(-1)[0]),
            found["anomaly_map"][0],
        )

    return run


def create_app(model: Model) -> FastAPI:
    app = FastAPI()

    @app.post("/inspect")
    def inspect(image: UploadFile) -> dict[str, Any]:
        photo = cv2.imdecode(np.frombuffer(image.file.read(), np.uint8), cv2.IMREAD_COLOR_RGB)
        probability, score, anomaly_map = model(photo)
        label = CLASSES[1] if probability >= LIMIT else "anomalous" if score >= LIMIT else CLASSES[0]
        return {"label": label, "score": score, "heatmap": _overlay(photo, anomaly_map.squeeze())}

    return app


def _overlay(photo: np.ndarray, anomaly_map: np.ndarray) -> str:
    """The photo with the map over it in colour, a JPEG in base64."""
    level = cv2.normalize(anomaly_map, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    heat = cv2.applyColorMap(cv2.resize(level, photo.shape[1::-1]), cv2.COLORMAP_JET)
    _, data = cv2.imencode(".jpg", cv2.addWeighted(cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), 0.6, heat, 0.4, 0))
    return base64.b64encode(data.tobytes()).decode("ascii")


def main() -> None:
    folder = Path(sys.argv[1])
    # anomalib asks for this before it loads a model file; this one was written by `write_models`.
    os.environ["TRUST_REMOTE_CODE"] = "1"
    if len(sys.argv) == 2:
        write_models(folder)
        return
    load = {"plain": torch_model, "tuned": tuned_model, "exported": exported_model}[sys.argv[2]]
    uvicorn.run(create_app(load(folder)), port=int(sys.argv[3]))


if __name__ == "__main__":
    main()
