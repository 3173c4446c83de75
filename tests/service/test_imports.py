"""The service starts without the training libraries, and imports nothing heavy before it is used."""

from tests.fresh import HEAVY, modules_after


def test_importing_the_service_loads_no_training_library() -> None:
    loaded = modules_after("import service.app, service.server, service.console, service.batching")
    assert loaded & HEAVY == set()


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
