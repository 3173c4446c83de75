"""What `glint export-archive` does."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from service.archive.export import ExportFormat, export
from service.archive.exporting import database_to_export_from
from service.archive.filters import Filters
from service.archive.queries import count
from service.settings import Settings


def export_file(
    settings: Settings, filters: Filters, output: Path, form: ExportFormat, console: Console
) -> None:
    """Write the inspections that pass the filters into `output`, with a progress bar on the console.

    Raises:
        UsageError: when there is no archive, it cannot be read, or the library for Parquet is not installed.
        ArchiveSchemaError: when another version of Glint has made it.
    """
    with database_to_export_from(settings) as database:
        with database.reading() as connection:
            total = count(connection, filters)
        columns = [TextColumn("Exporting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("", total=total)
            written = export(database, filters, output, form, lambda rows: bar.advance(task, rows))
        console.print(f"{written} inspections are in {output}", markup=False, soft_wrap=True)
