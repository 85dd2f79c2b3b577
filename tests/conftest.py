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


@pytest.fixture(scope="session")
def s3_server():
    """`host:port` of a real S3 server on the loopback; it takes any keys."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()
