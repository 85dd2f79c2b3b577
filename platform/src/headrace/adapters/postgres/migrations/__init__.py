"""Headrace's schema, brought up to date with Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from headrace.adapters.postgres.engine import answering, open_engine

VERSION_TABLE = "headrace_schema_version"
"""Not Alembic's default: MLflow and Airflow use that one, should they share the database."""
_LOCK = 0x68656164_72616365  # "headrace"; the key of the advisory lock that lets one process migrate at a time


def upgrade(url: str) -> None:
    """Bring the schema to the newest revision; does nothing when it is there. Any number of processes may do so at once.

    All of it happens in one transaction, so that a crash leaves the former schema.

    Args:
        url: as for `open_engine`.

    Raises:
        UnavailableError: the database does not answer, or refuses a statement.
    """
    engine = open_engine(url)
    try:
        with answering(engine), engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            config = Config(attributes={"connection": connection})
            config.set_main_option("script_location", str(Path(__file__).parent))
            config.set_main_option("path_separator", "os")
            command.upgrade(config, "head")
    finally:
        engine.dispose()
