"""A real PostgreSQL for tests and benchmarks: the platform's own binaries, a fresh cluster, a free port of the loopback."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2

from free_ports import free_ports
from headrace.adapters.parent_death import die_with_parent
from headrace.stack.cluster import ensure_cluster
from headrace.stack.placement import Placement, place, running_as_root

READY_WITHIN_SECONDS = 60


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a server, and yield the SQLAlchemy URL of its administrator's database. It dies with this process."""
    password = secrets.token_hex(8)
    # Not pytest's temporary folder: only its owner may enter that, and the server runs as nobody when the tests run as root.
    folder = Path(tempfile.mkdtemp(prefix="headrace-postgres-"))
    folder.chmod(0o755)
    try:
        placement = place(folder, identity=password, as_root=running_as_root(), fallback=folder)
        ensure_cluster(placement, link=folder / "postgres", password=password)
        with _running(placement, folder / "server.log", password) as port:
            yield f"postgresql+psycopg2://postgres:{password}@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(placement: Placement, log: Path, password: str) -> Iterator[int]:
    (port,) = free_ports(1)
    options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "port": str(port), "fsync": "off"}
    flags = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
    owner: dict[str, Any] = {}
    if placement.owner:
        owner = {"user": placement.owner.uid, "group": placement.owner.gid, "extra_groups": []}
    with log.open("w") as output:
        server = subprocess.Popen(
            [placement.binary("postgres"), "-D", str(placement.data), *flags],
            stdout=output,
            stderr=output,
            cwd="/",
            preexec_fn=die_with_parent,  # noqa: PLW1509 - tests start it from their main thread
            **owner,
        )
    try:
        _wait_until_ready(server, port, password, log)
        yield port
    finally:
        server.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(10)
        server.kill()
        server.wait()


def _wait_until_ready(server: subprocess.Popen[bytes], port: int, password: str, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            psycopg2.connect(host="127.0.0.1", port=port, user="postgres", password=password, dbname="postgres").close()
        except psycopg2.OperationalError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"PostgreSQL was not ready in {READY_WITHIN_SECONDS} s:\n{log.read_text()}")
