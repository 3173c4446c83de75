"""What `glint export-archive` does."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models.errors import UsageError
from service.archive.archive import database_url
from service.archive.database import Database
from service.archive.export import ExportFormat, export
from service.archive.queries import Filters, count
from service.archive.schema import check_schema
from service.settings import Settings


def export_file(
    settings: Settings, filters: Filters, output: Path, form: ExportFormat, console: Console
) -> None:
    """Write the inspections that pass the filters into `output`, with a progress bar on the console.

    Raises:
        UsageError: when there is no archive, or the library for Parquet is not installed.
        ArchiveSchemaError, ArchiveUnavailableError: when the database cannot be read.
    """
    database = Database(database_url(settings))
    try:
        if database.missing:
            raise UsageError(
                f"There is no archive at {database.describe()}.",
                "Name its folder with --archive, or its database with --database-url.",
            )
        check_schema(database.engine)
        with database.reading() as connection:
            total = count(connection, filters)
        columns = [TextColumn("Exporting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("", total=total)
            written = export(database, filters, output, form, lambda rows: bar.advance(task, rows))
        console.print(f"{written} inspections are in {output}", markup=False, soft_wrap=True)
    finally:
        database.close()
