"""What the suites share: real services that several of them need, started once."""

import pytest

from cluster.programs import find_program
from minio_server import minio_server
from postgres_server import postgres_server


@pytest.fixture(scope="session")
def postgres_url():
    """The SQLAlchemy URL of a real PostgreSQL with headrace's schema."""
    from headrace.adapters.postgres.migrations import upgrade

    with postgres_server() as url:
        upgrade(url)
        yield url


@pytest.fixture(scope="session")
def minio():
    """A real MinIO; skips where its program is not at hand (`make test-cluster` builds it)."""
    if (binary := find_program("minio")) is None:
        pytest.skip("no MinIO on this machine: `make cluster-up` builds one")
    with minio_server(binary) as server:
        yield server


@pytest.fixture(scope="session")
def moto():
    """`host:port` of a server that speaks S3 on every machine; it takes any keys."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture(scope="session", params=["moto", "minio"])
def s3_server(request):
    """`host:port` of an S3 server on the loopback whose administrator is `tester` with `tester-secret`."""
    server = request.getfixturevalue(request.param)
    return server if request.param == "moto" else server.endpoint
