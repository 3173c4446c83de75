"""Brings a database to this version's schema, one process at a time."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from service.archive.errors import ArchiveSchemaError

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
        steps = Config()
        steps.set_main_option("script_location", str(_folder()).replace("%", "%%"))
        _refuse_unknown(connection, ScriptDirectory.from_config(steps))
        steps.attributes["connection"] = connection
        command.upgrade(steps, "head")


def check_schema(engine: Engine) -> None:
    """Make sure that the tables are those of this version.

    Raises:
        ArchiveSchemaError: when another version has made them, or none.
    """
    steps = Config()
    steps.set_main_option("script_location", str(_folder()).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(steps)
    with engine.connect() as connection:
        _refuse_unknown(connection, scripts)
        found = MigrationContext.configure(connection).get_current_revision()
    if found != scripts.get_current_head():
        raise ArchiveSchemaError(
            f"The archive's database has schema {found}; {scripts.get_current_head()} is needed.",
            "Start this version of `glint serve` on it once: it brings the database up to date.",
        )


def _refuse_unknown(connection: Connection, scripts: ScriptDirectory) -> None:
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
        raise ArchiveSchemaError(
            f"The archive's database has schema {found!r}, which this version of Glint does not know.",
            "Install the newer Glint that made it, or name another database with GLINT_DATABASE_URL.",
        )


def _folder() -> Path:
    return Path(__file__).parent / "migrations"
