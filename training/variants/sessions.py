"""Running graphs that are not written yet."""

import tempfile
from pathlib import Path
from typing import Any

import onnx

from models.session import open_session


def session_of(model: onnx.ModelProto) -> Any:
    """A session of ONNX Runtime on the CPU, by the settings that the service uses."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        onnx.save(model, path)
        return open_session(path, "cpu").session
