"""An archive opened by a command that exports from it."""

from collections.abc import Iterator
from contextlib import contextmanager

from models.errors import UsageError
from service.archive.archive import database_url
from service.archive.database import Database, faults_told
from service.archive.errors import ArchiveUnavailableError
from service.archive.schema import check_schema
from service.settings import Settings

# Nobody waits for an export as a line waits for a verdict.
_SECONDS_FOR_A_STATEMENT = 600.0


@contextmanager
def database_to_export_from(settings: Settings) -> Iterator[Database]:
    """The database of the archive that the settings name, there and of this version; closed at the end.

    Raises:
        UsageError: when there is none, or it cannot be read then or within the block.
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
        yield database
    except ArchiveUnavailableError as error:
        raise UsageError(
            f"The archive at {database.describe()} cannot be read: {error.reason}.",
            "Check that it is the archive's database and that its server can be reached; then export again.",
        ) from error
    finally:
        database.close()
