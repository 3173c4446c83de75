"""The command that closes the loop from judgements to training: `glint dataset`."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="dataset", help="Make folders of photos to train on from reviewed inspections.", no_args_is_help=True
)


@app.callback()
def dataset() -> None:
    """Make folders of photos to train on from reviewed inspections."""


@app.command("from-archive")
def from_archive(
    output: Annotated[
        Path, typer.Argument(metavar="OUT", help="The folder to make; it must not exist.", show_default=False)
    ],
    part: Annotated[str, typer.Option(help="The part whose inspections are taken.", show_default=False)],
    archive: Annotated[str | None, typer.Option(help="Folder of the archive. [archive]")] = None,
    database_url: Annotated[
        str | None, typer.Option(help="Database of the archive, if not a file in it: postgresql://...")
    ] = None,
    photo_store: Annotated[
        str | None, typer.Option(help="Folder or s3:// URL of the photos, if not in the archive.")
    ] = None,
    unnamed: Annotated[str, typer.Option(help="Class of the defects that nobody named.")] = "other",
) -> None:
    """Write the reviewed photos of a part as class folders with masks and groups, for `glint train`.

    The service may run meanwhile. Photos are the bytes that were posted. What operators disagree on, cannot
    tell, or has no photo any more is left out and counted. From then on retention may remove the photos.

    Example: glint dataset from-archive --part bracket --archive archive reviewed/
    """
    from rich.console import Console

    from service.review.command import export_dataset
    from service.settings import Settings

    settings = Settings.of(archive=archive, database_url=database_url, photo_store=photo_store)
    export_dataset(settings, part, output, unnamed, Console(stderr=True, highlight=False))
