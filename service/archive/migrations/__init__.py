"""Alembic's steps from one schema to the next; `service.archive.schema` runs them at start."""
