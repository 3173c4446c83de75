"""`glint gauge`: does a photo keep its verdict when the part is looked at once more?"""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from models.errors import UsageError
from models.options import DeviceName, PrecisionOption
from training.options import AsJson, IncludeAll, Quiet, log_to_stderr, need_training_extra

_PAGE, _FIGURES = "gauge.html", "gauge.json"
_OF_SIMULATED_REPEATS = ("repeats", "shift", "light", "noise", "seed")


def gauge(
    context: typer.Context,
    bundle: Annotated[Path, typer.Argument(help="The bundle: bundles/<part>/<version>.", show_default=False)],
    photos: Annotated[
        Path,
        typer.Argument(
            help="Photos with known classes, in any layout that `train` takes.", show_default=False
        ),
    ],
    repeats: Annotated[
        int, typer.Option(min=2, max=1000, help="Repeats of each photo with each disturbance.")
    ] = 10,
    shift: Annotated[
        float, typer.Option(min=0.0, max=64.0, help="Largest shift, in pixels of the model's input.")
    ] = 1.0,
    light: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="Largest relative change of brightness.")
    ] = 0.02,
    noise: Annotated[
        float, typer.Option(min=0.0, max=64.0, help="Standard deviation of noise, in grey levels of 255.")
    ] = 1.0,
    presented: Annotated[
        bool,
        typer.Option(
            "--presented", help="Nothing is simulated: photos of one group show one part, presented again."
        ),
    ] = False,
    include_all: IncludeAll = False,
    as_json: AsJson = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for gauge.html, a page to look at, and gauge.json.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed; the same seed disturbs alike.")] = 0,
    device: Annotated[DeviceName, typer.Option(help="Where to run.")] = "auto",
    precision: PrecisionOption = "auto",
    quiet: Quiet = False,
) -> None:
    """Check the measurement system: repeat photos with small disturbances; report flips and kappa.

    Photos that the bundle was made from are left out. Each photo is shifted, lit and made noisy, each alone
    and all together. With --presented, photos of one group (groups.csv: file,group) are real repeats instead.

    Example: glint gauge bundles/bracket/20260131-120000 photos/ --out gauge/
    """
    need_training_extra()
    from training.gauge.disturbances import Amplitudes
    from training.gauge.study import Simulated, run_study
    from training.gauge.table import print_study
    from training.gauge.words import conclusions
    from training.report.gauge import write_gauge_page

    log_to_stderr()
    if presented:
        _refuse_what_would_not_count(context)
    if out is not None:
        _make(out)
    simulated = None if presented else Simulated(Amplitudes(shift, light, noise), repeats, seed)
    study = run_study(
        bundle,
        photos,
        simulated,
        device=device,
        include_all=include_all,
        progress=not quiet,
        precision=precision,
    )
    found = json.dumps({**study.as_json(), "conclusions": conclusions(study)}, allow_nan=False)
    if out is not None:
        write_gauge_page(out / _PAGE, study)
        (out / _FIGURES).write_text(found + "\n")
    if as_json:
        typer.echo(found)
        return
    print_study(study)
    if out is not None:
        typer.echo(f"\nPage: {out / _PAGE}")


def _refuse_what_would_not_count(context: typer.Context) -> None:
    """Refuse options of simulated repeats, given where nothing is simulated.

    Raises:
        UsageError: naming them.
    """
    sources = {name: context.get_parameter_source(name) for name in _OF_SIMULATED_REPEATS}
    given = [f"--{name}" for name, source in sources.items() if source and source.name == "COMMANDLINE"]
    if given:
        raise UsageError(
            f"With --presented nothing is simulated, so {' and '.join(given)} would change nothing.",
            f"Leave out {' and '.join(given)}; or leave out --presented, and repeats are simulated.",
        )


def _make(out: Path) -> None:
    """Make the folder, and see that it takes the files, before the minutes of work that fill it.

    Raises:
        UsageError: when it is a file, or cannot be made, or does not take what would be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--out {out} is no folder that can be made: {error.strerror}.", "Name another."
        ) from error
    for file in (out / _PAGE, out / _FIGURES):
        there = file.exists()
        if (there and not file.is_file()) or not os.access(file if there else out, os.W_OK):
            raise UsageError(f"--out {out} does not take {file.name}: it cannot be written.", "Name another.")
