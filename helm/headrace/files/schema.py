"""Bring a database's schema to the version of an installed package, or wait until that has happened.

    schema.py migrate PACKAGE URL_VARIABLE COMMAND…
    schema.py wait PACKAGE URL_VARIABLE

The database's comment says which version's schema it has, and lives and dies with the database. So a release that changes no
version runs no migration, and a pod that waits asks one query instead of importing Airflow, which takes eight seconds of CPU.
The role must own its database.
"""

import os
import subprocess
import sys
import time
from contextlib import closing
from importlib.metadata import version

import psycopg2
from psycopg2.sql import SQL, Identifier, Literal

LOCK = 0x686472_736368  # "hdrsch": migrations of one database run one at a time
WITHIN_SECONDS = 900


def main() -> int:
    """Return the exit code."""
    verb, package, variable, *command = sys.argv[1:]
    url, wanted = os.environ[variable].replace("+psycopg2", "", 1), f"{package} {version(package)}"
    deadline = time.monotonic() + WITHIN_SECONDS
    if verb == "migrate":
        return migrate(url, wanted, command, deadline)
    return wait(url, wanted, deadline)


def migrate(url: str, wanted: str, command: list[str], deadline: float) -> int:
    """Run the command, unless the schema is the wanted version's already."""
    with closing(connect(url, deadline)) as connection, connection.cursor() as sql:
        sql.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        if note(sql) == wanted:
            print(f"the schema is that of {wanted} already", flush=True)  # noqa: T201
            return 0
        code = subprocess.run(command, check=False).returncode
        if code == 0:
            sql.execute("SELECT current_database()")
            sql.execute(SQL("COMMENT ON DATABASE {} IS {}").format(Identifier(sql.fetchone()[0]), Literal(wanted)))
        return code


def wait(url: str, wanted: str, deadline: float) -> int:
    """Poll until the schema is the wanted version's; the connection is closed in between."""
    found = told = None
    while time.monotonic() < deadline:
        with closing(connect(url, deadline)) as connection, connection.cursor() as sql:
            found = note(sql)
        if found == wanted:
            return 0
        if found != told:
            print(f"waiting for the schema of {wanted}; it is that of {found}", flush=True)  # noqa: T201
            told = found
        time.sleep(1)
    sys.exit(f"the schema is that of {found}, not of {wanted}: look at the log of the migrations' Job")


def note(sql) -> str:
    """Which version's schema the database has."""
    sql.execute(
        "SELECT coalesce(shobj_description(oid, 'pg_database'), 'nothing') FROM pg_database WHERE datname = current_database()"
    )
    return sql.fetchone()[0]


def connect(url: str, deadline: float):
    """Connect, trying again while the server does not answer; each statement is a transaction of its own."""
    while True:
        try:
            connection = psycopg2.connect(url, connect_timeout=5)
        except psycopg2.OperationalError as error:
            if time.monotonic() > deadline:
                sys.exit(f"PostgreSQL does not answer: {error}")
            time.sleep(1)
        else:
            connection.autocommit = True
            return connection


if __name__ == "__main__":
    sys.exit(main())
