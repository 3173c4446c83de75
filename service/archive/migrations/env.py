"""Run by Alembic, on the connection that `service.archive.schema` hands it."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
