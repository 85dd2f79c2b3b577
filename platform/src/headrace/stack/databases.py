"""The databases inside the cluster: one for each of headrace, Airflow and MLflow, each owned by a role of its own.

A database remembers in its comment which version's schema it has. The note lives and dies with the database, so a warm start can
skip the migrations, which cost seconds, without ever skipping one that is due.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING

from headrace.config import POSTGRES_PASSWORD
from headrace.stack.environment import LOOPBACK
from headrace.stack.secrets import POSTGRES_ADMIN, POSTGRES_AIRFLOW, POSTGRES_MLFLOW, Secrets

if TYPE_CHECKING:
    from psycopg2.extensions import connection, cursor

ROLES: Mapping[str, str] = {"headrace": POSTGRES_PASSWORD, "airflow": POSTGRES_AIRFLOW, "mlflow": POSTGRES_MLFLOW}
"""Database (and role) to the name of its password."""


class Databases:
    """The cluster's databases, as its administrator sees them.

    Args:
        port: of the server.
        secrets: the stack's.
    """

    def __init__(self, port: int, secrets: Secrets) -> None:
        self._port = port
        self._secrets = secrets

    def ensure(self) -> None:
        """Create what is missing, and set each role's password to the present secret."""
        with closing(self._connect()) as open_connection, open_connection.cursor() as sql:
            for database, secret in ROLES.items():
                _ensure_role(sql, database, self._secrets[secret])
                _ensure_database(sql, database)

    def schema_note(self, database: str) -> str:
        """What `note_schema` last wrote for this database; empty when never."""
        with closing(self._connect()) as open_connection, open_connection.cursor() as sql:
            sql.execute("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", (database,))
            row = sql.fetchone()
        return str(row[0] or "") if row else ""

    def note_schema(self, database: str, note: str) -> None:
        """Remember which version's schema the database has."""
        from psycopg2.sql import SQL, Identifier

        with closing(self._connect()) as open_connection, open_connection.cursor() as sql:
            sql.execute(SQL("COMMENT ON DATABASE {} IS %s").format(Identifier(database)), (note,))

    def _connect(self) -> connection:
        import psycopg2

        opened = psycopg2.connect(
            host=LOOPBACK, port=self._port, user="postgres", password=self._secrets[POSTGRES_ADMIN], dbname="postgres"
        )
        opened.autocommit = True
        return opened


def _ensure_role(sql: cursor, role: str, password: str) -> None:
    from psycopg2.sql import SQL, Identifier

    sql.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,))
    verb = SQL("ALTER" if sql.fetchone() else "CREATE")
    sql.execute(SQL("{} ROLE {} LOGIN PASSWORD %s").format(verb, Identifier(role)), (password,))


def _ensure_database(sql: cursor, database: str) -> None:
    from psycopg2.sql import SQL, Identifier

    sql.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
    if not sql.fetchone():
        sql.execute(SQL("CREATE DATABASE {} OWNER {}").format(Identifier(database), Identifier(database)))
        sql.execute(SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(Identifier(database)))
