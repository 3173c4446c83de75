"""What `glint dataset from-archive` does."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from models.classes import class_problem
from models.errors import UsageError
from service.archive.archive import photo_store_url
from service.archive.database import Database
from service.archive.errors import ArchiveUnavailableError
from service.archive.exporting import database_to_export_from
from service.archive.store import open_store
from service.errors import reason_of
from service.review.dataset import Written, write_dataset
from service.review.selection import mark_exported, reviewed
from service.settings import Settings


def export_dataset(settings: Settings, part: str, output: Path, unnamed: str, console: Console) -> None:
    """Write the reviewed inspections of a part into the new folder `output`, and say what came of it.

    Raises:
        UsageError: when there is no archive or it cannot be read, `output` exists, nothing was reviewed, or
            `unnamed` cannot be a class.
        ArchiveSchemaError: when another version of Glint has made the archive.
    """
    if problem := class_problem(unnamed):
        raise UsageError(f"--unnamed cannot be a class: {problem}.", "Use a name such as `other`.")
    with database_to_export_from(settings) as database:
        written = _export(database, settings, part, output, unnamed, console)
    _say(written, output, console)


def _export(
    database: Database, settings: Settings, part: str, output: Path, unnamed: str, console: Console
) -> Written:
    store = open_store(photo_store_url(settings))
    with database.reading() as connection:
        found = reviewed(connection, part)
    columns = [TextColumn("Exporting"), BarColumn(), MofNCompleteColumn()]
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=len(found))
        written = write_dataset(found, store, output, unnamed=unnamed, progress=lambda: bar.advance(task))
    try:
        database.open()
        mark_exported(database, written.used)
    except (ArchiveUnavailableError, OSError) as error:
        console.print(
            f"The archive could not note the export ({reason_of(error)}), so retention goes on keeping these "
            "photos. Let this user write to the archive's database, and export again.",
            markup=False,
            soft_wrap=True,
        )
    return written


def _say(written: Written, output: Path, console: Console) -> None:
    classes = ", ".join(f"{count} {name}" for name, count in sorted(written.photos.items()))
    masks = f", {written.masks} with a mask" if written.masks else ""
    lines = [f"{sum(written.photos.values())} photos are in {output}: {classes}{masks}."]
    if written.left_out:
        reasons = ", ".join(f"{count} {reason}" for reason, count in written.left_out.most_common())
        lines.append(f"{sum(written.left_out.values())} inspections were left out: {reasons}.")
    console.print("\n".join(lines), markup=False, soft_wrap=True)
