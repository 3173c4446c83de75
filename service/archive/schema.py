"""Brings a database to this version's schema, one process at a time."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from service.archive.errors import ArchiveSchemaError

if TYPE_CHECKING:
    from alembic.config import Config

# The newest step in `migrations/versions`.
REVISION = "0003"
# Execution option: how a transaction begins on SQLite.
BEGIN = "glint_begin"
_LOCK = 0x61726368  # any number that no other user of the PostgreSQL server takes


def migrate(engine: Engine) -> None:
    """Make or alter the tables as this version of Glint needs them. Processes wait for one another.

    Raises:
        ArchiveSchemaError: when a newer Glint has made them.
    """
    options = {BEGIN: "BEGIN IMMEDIATE"}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        found = _revision_of(connection)
        if found == REVISION:
            return
        # Alembic takes a fifth of a second to import, and most starts need none of it.
        from alembic import command

        steps = _steps()
        _refuse_unknown(found, steps)
        if connection.dialect.name == "postgresql":
            # An archive of years takes longer to alter than any request may ask of it.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        steps.attributes["connection"] = connection
        command.upgrade(steps, "head")


def check_schema(engine: Engine) -> None:
    """Make sure that the tables are those of this version.

    Raises:
        ArchiveSchemaError: when another version has made them, or none.
    """
    with engine.connect() as connection:
        found = _revision_of(connection)
    if found != REVISION:
        _refuse_unknown(found, _steps())
        raise ArchiveSchemaError(
            f"The archive's database has schema {found}; {REVISION} is needed.",
            "Start this version of `glint serve` on it once: it brings the database up to date.",
        )


def _revision_of(connection: Connection) -> str | None:
    """What Alembic wrote down when it made or altered the tables; None where it never did."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _steps() -> "Config":
    from alembic.config import Config

    steps = Config()
    folder = Path(__file__).parent / "migrations"
    steps.set_main_option("script_location", str(folder).replace("%", "%%"))
    return steps


def _refuse_unknown(found: str | None, steps: "Config") -> None:
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(steps).walk_revisions()}
    if found is not None and found not in known:
        raise ArchiveSchemaError(
            f"The archive's database has schema {found!r}, which this version of Glint does not know.",
            "Install the newer Glint that made it, or name another database with GLINT_DATABASE_URL.",
        )
