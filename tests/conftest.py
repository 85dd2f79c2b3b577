"""What the suites share: real services that several of them need, started once."""

import pytest

from postgres_server import postgres_server


@pytest.fixture(scope="session")
def postgres_url():
    """The SQLAlchemy URL of a real PostgreSQL with headrace's schema."""
    from headrace.adapters.postgres.migrations import upgrade

    with postgres_server() as url:
        upgrade(url)
        yield url
