"""Making or judging a form of the graph that a bundle can do without."""

import logging
from collections.abc import Callable
from typing import TypeVar

from models.errors import ExportError
from models.precision import Precision

T = TypeVar("T")

log = logging.getLogger(__name__)


def attempted(precision: Precision, make: Callable[[], T | str]) -> T | str:
    """What `make` gives, or, if it fails, why: the training goes on without that form.

    What is no fault of the form ends the training as ever: an interruption, and a machine without memory.
    """
    try:
        return make()
    except MemoryError:
        raise
    except ExportError as error:
        log.warning("The %s graph is left out: %s", precision, error.problem)
        return error.problem.rstrip(".")
    except Exception as error:
        # The quantiser, the checker and ONNX Runtime raise what they like, and share no base class. Their
        # words may hold paths of this machine, which do not belong in a manifest.
        log.warning("The %s graph is left out, since it could not be made or run.", precision, exc_info=True)
        return f"it could not be made or run ({type(error).__name__}; the training's log says more)"
