"""Alembic's entry point: it migrates over the connection that `upgrade` has opened, inside its transaction."""

from __future__ import annotations

from alembic import context

from headrace.adapters.postgres.migrations import VERSION_TABLE
from headrace.adapters.postgres.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, version_table=VERSION_TABLE)
context.run_migrations()
