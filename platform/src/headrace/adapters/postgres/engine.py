"""Connections to PostgreSQL, and what its failures mean to the platform."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError, ProgrammingError

from headrace.errors import InvalidSpecError, UnavailableError

_CONNECT_ARGS = {
    "connect_timeout": 5,
    # Both sides notice within a minute that the other's machine is gone; the server then releases its locks.
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 4,
    "options": "-c tcp_keepalives_idle=20 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=4 -c timezone=UTC",
    "application_name": "headrace",
}


def open_engine(url: str) -> Engine:
    """A small pool of connections; nothing is connected yet.

    Args:
        url: SQLAlchemy's, with its driver: `postgresql+psycopg2://user:password@host:port/database`.

    Raises:
        InvalidSpecError: it is not such a URL.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InvalidSpecError("the database URL cannot be read", where="database_url", remedy=str(error)) from error
    if parsed.drivername != "postgresql+psycopg2":
        raise InvalidSpecError(
            f"the database URL names the driver {parsed.drivername}",
            where="database_url",
            remedy="Begin it with postgresql+psycopg2://.",
        )
    return create_engine(parsed, pool_size=2, max_overflow=3, pool_pre_ping=True, connect_args=_CONNECT_ARGS)


@contextmanager
def answering(engine: Engine) -> Iterator[None]:
    """Translate failures of the database.

    Raises:
        UnavailableError: it does not answer, or lacks headrace's tables.
    """
    where = engine.url.render_as_string(hide_password=True)
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise UnavailableError(
            f"the database does not answer: {_first_line(error)}", where=where, remedy="Check that it runs (`headrace status`)."
        ) from error
    except ProgrammingError as error:
        raise UnavailableError(
            f"the database refused a statement: {_first_line(error)}",
            where=where,
            remedy="Bring its schema up to date: `headrace up` does.",
        ) from error


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().split("\n", 1)[0]
