"""What the commands of training share: options, and what they do before they load torch."""

import logging
import os
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from models.errors import UsageError

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
IncludeAll = Annotated[
    bool, typer.Option("--all", help="Take in photos that the bundle was trained or calibrated on.")
]
DefectRate = Annotated[
    float,
    typer.Option(
        min=0.0, max=1.0, help="Share of the line's parts that are defective, for what limits cost."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars.")]


def need_training_extra() -> None:
    """Refuse a command that needs what the base install has not; make torch ready where it is there.

    Raises:
        UsageError: saying how to install it.
    """
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise UsageError(
            "This command needs the training packages, which are not installed.",
            "Install them: pip install 'glint-inspection[training]'",
        )
    # Read when torch is loaded. Its threads would otherwise wait for each other by keeping their cores busy,
    # and where one of them has to wait for a core, because something else runs, all of them would.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def log_to_stderr() -> None:
    """Show what training says of its steps."""
    handler = RichHandler(
        console=Console(stderr=True), show_time=False, show_path=False, show_level=False, markup=False
    )
    for name in ("training", "models"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False
