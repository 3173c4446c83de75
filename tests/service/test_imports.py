"""The service starts without the training libraries, and imports nothing heavy before it is used."""

import json
import subprocess
import sys

import pytest

HEAVY = {"torch", "torchvision", "lightning", "anomalib", "onnx", "matplotlib", "scipy", "sklearn"}


def modules_after(statement: str) -> set[str]:
    """The top-level modules that are loaded after a statement in a fresh interpreter."""
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


@pytest.mark.parametrize(
    "module", ["service", "service.app", "service.server", "service.console", "service.batching"]
)
def test_importing_the_service_loads_no_training_library(module: str) -> None:
    assert modules_after(f"import {module}") & HEAVY == set()


def test_importing_the_application_loads_neither_pixels_nor_a_database() -> None:
    late = {"cv2", "numpy", "PIL", "onnxruntime", "sqlalchemy", "alembic", "fsspec"}
    assert modules_after("import service.app") & late == set()


def test_making_the_application_loads_no_runtime() -> None:
    loaded = modules_after("from service.app import create_app; create_app()")
    assert (
        loaded & (HEAVY | {"onnxruntime", "cv2", "numpy", "alembic", "pyarrow", "s3fs", "psycopg"}) == set()
    )


def test_the_commands_cost_nothing_until_they_are_used() -> None:
    loaded = modules_after("import service.cli")
    assert loaded & (HEAVY | {"onnxruntime", "cv2", "numpy", "fastapi", "uvicorn"}) == set()
