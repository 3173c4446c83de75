"""The commands of the service side: `glint serve`, `inspect`, `verify`, `bench`, `promote`, `keys`, ..."""

import gc
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from models.options import DeviceName, PrecisionOption
from models.precision import WantedPrecision
from service.access.cli import app as keys_app
from service.bench.cli import bench
from service.review.cli import app as dataset_app

app = typer.Typer()
app.add_typer(keys_app)
app.add_typer(dataset_app)
app.command()(bench)


DeviceOption = Annotated[
    DeviceName,
    typer.Option(help="auto: the GPU if it really works, else the CPU. cuda: refuse to run without a GPU."),
]

_TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]


@app.command()
def serve(
    bundles: Annotated[
        Path | None,
        typer.Option(help="Folder of bundles (<part>/<version>), of one part, or one bundle. [bundles]"),
    ] = None,
    device: Annotated[
        DeviceName | None,
        typer.Option(help="auto: the GPU if it works. cuda: refuse to start without one. [auto]"),
    ] = None,
    precision: Annotated[
        WantedPrecision | None,
        typer.Option(help="Which graph runs. auto: the fastest that agrees with fp32. [auto]"),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. [8000]")] = None,
    keys: Annotated[Path | None, typer.Option(help="File of API keys; see `glint keys`. [none]")] = None,
    allow_anonymous: Annotated[
        bool | None,
        typer.Option("--allow-anonymous", help="Let whoever reaches it do anything, without keys."),
    ] = None,
    management_port: Annotated[
        int | None, typer.Option(help="Another port, with health and metrics only, without a key. [none]")
    ] = None,
    management_host: Annotated[
        str | None, typer.Option(help="Address of the management port. [127.0.0.1]")
    ] = None,
    open_health: Annotated[
        bool | None, typer.Option("--open-health", help="Health and metrics need no key on any port.")
    ] = None,
    gpu_memory_mb: Annotated[
        int | None, typer.Option(help="GPU memory of one model, in MiB. [no limit]")
    ] = None,
    tensorrt: Annotated[
        bool | None, typer.Option("--tensorrt", help="Run on TensorRT; `glint warmup` builds its engines.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads of the model. [all cores]")] = None,
    max_bytes: Annotated[int | None, typer.Option(help="Largest photo in bytes. [33554432]")] = None,
    max_pixels: Annotated[int | None, typer.Option(help="Largest photo in pixels. [64000000]")] = None,
    queue_size: Annotated[
        int | None, typer.Option(help="Photos taken in at a time; more get 503. [32]")
    ] = None,
    deadline_ms: Annotated[
        int | None, typer.Option(help="Time for an answer without X-Deadline-Ms. [10000]")
    ] = None,
    drain_seconds: Annotated[
        float | None, typer.Option(help="Time to answer what was accepted after SIGTERM. [20]")
    ] = None,
    archive: Annotated[
        str | None, typer.Option(help="Folder that inspections are kept in; none keeps nothing. [archive]")
    ] = None,
    database_url: Annotated[
        str | None, typer.Option(help="Database of the archive, if not a file in it: postgresql://...")
    ] = None,
) -> None:
    """Serve verdicts over HTTP.

    The newest bundle of each part is loaded. Ask /readyz whether all are ready and /docs what can be sent.
    Every option is also an environment variable: GLINT_BUNDLES, GLINT_PORT and so on.

    Example: glint serve --bundles bundles/ --device auto --port 8000
    """
    gc.disable()  # what is imported stays, and to look for garbage in it takes a tenth of the time
    try:
        from models.bundle import survey_bundles
        from service.server import serve as run_server
        from service.settings import Settings
    finally:
        gc.enable()

    settings = Settings.of(
        bundles=bundles,
        device=device,
        precision=precision,
        host=host,
        port=port,
        keys=keys,
        allow_anonymous=allow_anonymous,
        management_port=management_port,
        management_host=management_host,
        open_health=open_health,
        gpu_memory_mb=gpu_memory_mb,
        tensorrt=tensorrt,
        threads=threads,
        max_bytes=max_bytes,
        max_pixels=max_pixels,
        queue_size=queue_size,
        deadline_ms=deadline_ms,
        drain_seconds=drain_seconds,
        archive=archive,
        database_url=database_url,
    )
    survey_bundles(settings.bundles)  # a wrong path is better said now than by a service that is never ready
    run_server(settings)


@app.command()
def inspect(
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.", show_default=False)],
    bundle: Annotated[Path, typer.Option(help="The bundle, for example bundles/bracket/<version>.")],
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    overlays: Annotated[
        Path | None, typer.Option(help="Write the heatmap overlays into this folder, as JPEG.")
    ] = None,
) -> None:
    """Inspect photos on this machine, without a service.

    A photo that cannot be inspected is named, does not stop the others, and makes the exit code 1.

    Example: glint inspect a.jpg b.png --bundle bundles/bracket/20260101-120000 --overlays out/
    """
    from rich.console import Console

    from service.console import OverlayFolder, expand, inspect_files, load_one, show_json, show_table

    inspector = load_one(bundle, device, precision)
    folder = OverlayFolder(overlays) if overlays else None
    answers = inspect_files(inspector, expand(photos), folder)
    invalid = show_json(answers) if json else show_table(answers, Console(highlight=False))
    if invalid:
        raise typer.Exit(1)


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="The bundle: bundles/<part>/<version>.", show_default=False)],
    device: DeviceOption = "auto",
    precision: Annotated[
        WantedPrecision | None, typer.Option(help="Check only this graph of the bundle. [all of them]")
    ] = None,
) -> None:
    """Check that a bundle is whole and still gives its recorded results on this machine.

    Checks every file against its checksum, then inspects the golden photos with each of its graphs. Exit code
    1 on any difference.

    Example: glint verify bundles/bracket/20260101-120000
    """
    from rich.console import Console

    from service.console import verify as verify_bundle

    if not verify_bundle(bundle, device, Console(highlight=False), precision):
        raise typer.Exit(1)


@app.command()
def warmup(
    bundles: Annotated[
        Path | None,
        typer.Option(help="Folder of bundles (<part>/<version>), of one part, or one bundle. [bundles]"),
    ] = None,
    device: Annotated[
        DeviceName | None, typer.Option(help="auto: the GPU if it works. cuda: fail without one. [auto]")
    ] = None,
    tensorrt: Annotated[
        bool | None, typer.Option("--tensorrt", help="Build TensorRT's engines, or fail; takes minutes.")
    ] = None,
    tensorrt_cache: Annotated[
        Path | None, typer.Option(help="Folder of the engines. [`tensorrt` in the folder of GLINT_STATE]")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads of the model. [all cores]")] = None,
) -> None:
    """Do ahead what the first start would do, and say how long it takes.

    Opens the bundles that would be served, runs every batch size and the golden photos. TensorRT's engines
    are built here and only here. Takes the variables of `glint serve`. Exit code 1 if a part fails.

    Example: glint warmup --bundles bundles/ --device cuda
    """
    from rich.console import Console

    from service.console import show_warm_up
    from service.settings import Settings
    from service.warmup import warm_up_bundles

    settings = Settings.of(
        bundles=bundles, device=device, tensorrt_cache=tensorrt_cache, tensorrt=tensorrt, threads=threads
    )
    if not show_warm_up(warm_up_bundles(settings), Console(highlight=False)):
        raise typer.Exit(1)


@app.command()
def promote(
    bundle: Annotated[
        Path, typer.Argument(help="The bundle, for example bundles/bracket/<version>.", show_default=False)
    ],
    url: Annotated[str, typer.Option(help="The running service.")] = "http://127.0.0.1:8000",
    key: Annotated[
        str | None,
        typer.Option(envvar="GLINT_KEY", help="A key of the role admin. [none]", show_default=False),
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Only let it judge beside the active one, for comparison.")
    ] = False,
) -> None:
    """Put a bundle in place on a running service, which proves it first and drops no photo.

    The service must have the bundle in its folder. Better give the key in GLINT_KEY than on the command line.

    Example: glint promote bundles/bracket/20260102-080000 --url http://127.0.0.1:8000
    """
    from service.promotion import promote as carry_out

    typer.echo(carry_out(bundle, url, key, shadow=shadow))


@app.command("export-archive")
def export_archive(
    output: Annotated[Path, typer.Option(help="The file to write.")],
    format: Annotated[Literal["csv", "parquet"], typer.Option(help="csv or parquet.")] = "csv",
    archive: Annotated[str | None, typer.Option(help="Folder of the archive. [archive]")] = None,
    database_url: Annotated[
        str | None, typer.Option(help="Database of the archive, if not a file in it: postgresql://...")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option("--from", formats=_TIMES, help="Recorded at or after this time, UTC.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=_TIMES, help="Recorded before this time, UTC.")
    ] = None,
    part: Annotated[str | None, typer.Option(help="Only this part.")] = None,
    serial: Annotated[str | None, typer.Option(help="Only this serial.")] = None,
    camera: Annotated[str | None, typer.Option(help="Only this camera.")] = None,
    verdict: Annotated[str | None, typer.Option(help="clean, a defect class, anomalous or invalid.")] = None,
    needs_review: Annotated[bool | None, typer.Option(help="Only those to review, or only others.")] = None,
) -> None:
    """Write recorded inspections into a table, newest first, one row each.

    The service may run meanwhile. The file appears under its name once it is whole.

    Example: glint export-archive --format parquet --output january.parquet --from 2026-01-01 --to 2026-02-01
    """
    from rich.console import Console

    from service.archive.command import export_file
    from service.archive.filters import Filters
    from service.settings import Settings

    settings = Settings.of(archive=archive, database_url=database_url)
    filters = Filters(
        since=since.replace(tzinfo=UTC) if since else None,
        until=until.replace(tzinfo=UTC) if until else None,
        part=part,
        serial=serial,
        camera=camera,
        verdict=verdict,
        needs_review=needs_review,
    )
    export_file(settings, filters, output, format, Console(stderr=True, highlight=False))
