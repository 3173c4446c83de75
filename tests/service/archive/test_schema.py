"""The database's schema: made once, by one process at a time, and never that of the future."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from service.archive import migrations
from service.archive.archive import Archive
from service.archive.database import Database
from service.archive.errors import ArchiveSchemaError
from service.archive.schema import REVISION, check_schema
from service.archive.tables import metadata
from service.errors import SettingsError
from service.settings import Settings

OPEN = "import sys; from service.archive.database import Database; Database(sys.argv[1]).open()"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path / 'inspections.sqlite'}")
    yield database
    database.close()


def test_the_migrations_make_the_tables_that_the_code_uses(database: Database) -> None:
    database.open()
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_revision_that_is_looked_for_is_the_newest_step() -> None:
    folder = Path(migrations.__file__).parent
    assert ScriptDirectory(str(folder)).get_current_head() == REVISION


def test_a_database_that_is_up_to_date_is_opened_without_alembic(database: Database) -> None:
    database.open()
    program = f"{OPEN}; assert 'alembic' not in sys.modules"
    subprocess.run(
        [sys.executable, "-c", program, f"sqlite:///{database.folder}/inspections.sqlite"], check=True
    )


def test_sqlite_loses_nothing_that_it_has_committed(database: Database) -> None:
    database.open()
    with database.engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2


def test_a_database_of_a_newer_glint_is_refused(database: Database, tmp_path: Path) -> None:
    database.open()
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    archive = Archive(Settings.of(archive=str(tmp_path)))
    with pytest.raises(ArchiveSchemaError, match="'9999'"):
        archive.start()
    archive.close()
    with pytest.raises(ArchiveSchemaError, match="'9999'"):
        check_schema(database.engine)


def test_processes_that_start_together_do_not_collide(tmp_path: Path, database: Database) -> None:
    url = f"sqlite:///{tmp_path / 'inspections.sqlite'}"
    starting = [
        subprocess.Popen([sys.executable, "-c", OPEN, url], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in starting:
        assert process.communicate(timeout=60)[1] == ""
        assert process.returncode == 0
    check_schema(database.engine)


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/db", "sqlite://", "sqlite:///:memory:"])
def test_a_url_of_something_else_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError, match="GLINT_DATABASE_URL"):
        Database(url)


def test_a_password_is_never_shown() -> None:
    database = Database("postgresql://glint:secret@host/glint")
    assert "secret" not in database.describe()
    assert "secret" not in repr(Settings.of(database_url="postgresql://glint:secret@host/glint"))
