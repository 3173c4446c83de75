"""Options that commands of the service and of training share."""

from typing import Annotated, Literal

import typer

from models.precision import WantedPrecision

# `auto` takes the GPU if it really works, and says so if it does not.
DeviceName = Literal["auto", "cpu", "cuda"]
PrecisionOption = Annotated[
    WantedPrecision,
    typer.Option(
        envvar="GLINT_PRECISION",
        help="Which graph of the bundle runs. auto: the fastest that agrees with fp32.",
    ),
]
