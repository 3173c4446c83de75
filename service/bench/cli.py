"""The command `glint bench`."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def bench(
    bundle: Annotated[Path, typer.Option(help="The bundle, for example bundles/bracket/<version>.")],
    photos: Annotated[
        Path | None, typer.Option(help="Folder of photos to post. [the bundle's golden photos]")
    ] = None,
    clients: Annotated[str, typer.Option(help="How many clients post at the same time.")] = "1,4,16,64",
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of each measurement.")] = 10.0,
    deadline_ms: Annotated[
        int | None, typer.Option(help="Time that the clients give for an answer. [GLINT_DEADLINE_MS]")
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"] | None,
        typer.Option(help="auto: the GPU if it works. cuda: refuse to run without one. [GLINT_DEVICE]"),
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write all figures into this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw them into this file, NAME.svg.")] = None,
) -> None:
    """Measure how fast a bundle is on this machine.

    First the model alone, then a service that is started for it and stopped afterwards: photos per second,
    latency, and where the time goes. Nothing is archived. Let nothing else run meanwhile.

    Example: glint bench --bundle bundles/bracket/20260101-120000 --json bench.json --plot bench.svg
    """
    from rich.console import Console

    from models.files import write_whole
    from service.bench.options import check_outputs, parse_clients
    from service.bench.plot import plot as draw
    from service.bench.run import Plan, run_bench
    from service.bench.show import show

    plan = Plan(bundle, parse_clients(clients), seconds, device, photos, deadline_ms)
    check_outputs(json, plot)
    result = run_bench(plan, Console(stderr=True, highlight=False))
    show(result, Console(highlight=False))
    if json:
        write_whole(json, result.model_dump_json(indent=2).encode() + b"\n")
    if plot:
        write_whole(plot, draw(result).encode())
