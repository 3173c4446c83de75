"""What `glint export-archive` does."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models.errors import UsageError
from service.archive.archive import database_url
from service.archive.database import Database, faults_told
from service.archive.errors import ArchiveUnavailableError
from service.archive.export import ExportFormat, export
from service.archive.filters import Filters
from service.archive.queries import count
from service.archive.schema import check_schema
from service.settings import Settings

# Nobody waits for an export as a line waits for a verdict.
_SECONDS_FOR_A_STATEMENT = 600.0


def export_file(
    settings: Settings, filters: Filters, output: Path, form: ExportFormat, console: Console
) -> None:
    """Write the inspections that pass the filters into `output`, with a progress bar on the console.

    Raises:
        UsageError: when there is no archive, it cannot be read, or the library for Parquet is not installed.
        ArchiveSchemaError: when another version of Glint has made it.
    """
    database = Database(database_url(settings), seconds=_SECONDS_FOR_A_STATEMENT)
    try:
        if database.missing:
            raise UsageError(
                f"There is no archive at {database.describe()}.",
                "Name its folder with --archive, or its database with --database-url.",
            )
        with faults_told():
            check_schema(database.engine)
        with database.reading() as connection:
            total = count(connection, filters)
        columns = [TextColumn("Exporting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("", total=total)
            written = export(database, filters, output, form, lambda rows: bar.advance(task, rows))
        console.print(f"{written} inspections are in {output}", markup=False, soft_wrap=True)
    except ArchiveUnavailableError as error:
        raise UsageError(
            f"The archive at {database.describe()} cannot be read: {error.reason}.",
            "Check that it is the archive's database and that its server can be reached; then export again.",
        ) from error
    finally:
        database.close()
