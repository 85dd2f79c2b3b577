"""Locks in PostgreSQL: session-level advisory locks, each on a connection of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

from headrace.adapters.postgres.engine import answering, open_engine
from headrace.errors import UnavailableError


class PostgresLocks:
    """Implements `ports.locks.Locks`. The server releases a lock when its holder's connection ends, however it ends.

    Args:
        url: as for `open_engine`.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url)

    @contextmanager
    def hold(self, name: str) -> Iterator[bool]:
        """See the port."""
        key = lock_key(name)
        with answering(self._engine):
            connection = self._engine.connect()
        try:
            # No transaction stays open while the lock is held: it would keep the server from cleaning up old rows.
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            with answering(self._engine):
                waited = not _call(connection, "pg_try_advisory_lock", key)
                if waited:
                    _call(connection, "pg_advisory_lock", key)
            yield waited
            with answering(self._engine):
                released = _call(connection, "pg_advisory_unlock", key)
            if not released:
                raise UnavailableError(f"the lock {name} was lost while it was held", remedy="Run again what it protected.")
        finally:
            # Ends the session, and with it the lock if an error came before its release.
            connection.invalidate()
            connection.close()


def lock_key(name: str) -> int:
    """The signed 64-bit key of a name: the first 8 bytes of its SHA-256."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def _call(connection: Connection, function: str, key: int) -> bool:
    return bool(connection.execute(text(f"SELECT {function}(:key)"), {"key": key}).scalar())
