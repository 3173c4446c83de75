"""Tables whose rows are never changed or removed: the database refuses it."""

from alembic import op

_SQLITE_TRIGGER = """
CREATE TRIGGER {table}_{event} BEFORE {event} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} are never changed or removed'); END
"""
_POSTGRES_FUNCTION = """
CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '{table} are never changed or removed'; END $$
"""
_POSTGRES_TRIGGER = """
CREATE TRIGGER {table}_{event} BEFORE {event} ON {table}
FOR EACH ROW EXECUTE FUNCTION {function}()
"""


def make_append_only(table: str, function: str) -> None:
    """Make the triggers of a table; `function` names what they run on PostgreSQL."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    if not sqlite:
        op.execute(_POSTGRES_FUNCTION.format(table=table, function=function))
    trigger = _SQLITE_TRIGGER if sqlite else _POSTGRES_TRIGGER
    for event in ("UPDATE", "DELETE"):
        op.execute(trigger.format(table=table, event=event, function=function))


def drop_append_only(table: str, function: str) -> None:
    """Drop the table, its triggers and the function."""
    op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP FUNCTION {function}")
