"""PostgreSQL as a part of the stack: the server, its cluster and its databases."""

from __future__ import annotations

import subprocess

from headrace.config import Settings
from headrace.stack.cluster import ensure_cluster
from headrace.stack.databases import Databases
from headrace.stack.environment import LOOPBACK
from headrace.stack.part import Part, Port, Setup
from headrace.stack.placement import Placement, place, running_as_root
from headrace.stack.readiness import AcceptsConnections
from headrace.stack.secrets import POSTGRES_ADMIN, Secrets

POSTGRES = "postgres"
CLUSTER = "cluster"
DATABASES = "databases"

_SERVER_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "120",
    # An idle machine's worth of memory: the whole stack has to fit into two gigabytes.
    "shared_buffers": "48MB",
    "autovacuum_max_workers": "1",
    "io_method": "sync",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def postgres_part(settings: Settings, secrets: Secrets) -> Part:
    """The server, on loopback TCP alone: there is no UNIX socket, so no path of limited length either."""
    placement = _placement(settings, secrets)
    options = {**_SERVER_SETTINGS, "port": str(settings.ports.postgres)}
    flags = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
    return Part(
        name=POSTGRES,
        command=(placement.binary("postgres"), "-D", str(placement.data), *flags),
        needs=(CLUSTER,),
        ready=AcceptsConnections(settings.ports.postgres, secrets[POSTGRES_ADMIN]),
        version=lambda: _version(placement),
        url=f"postgresql://{LOOPBACK}:{settings.ports.postgres}/headrace",
        port=Port(settings.ports.postgres, "HEADRACE_PORTS__POSTGRES"),
        user=placement.owner.name if placement.owner else None,
        stop_signal="INT",  # fast shutdown: open transactions are rolled back, a plain TERM would wait for every client
        stop_seconds=6,
        settle_seconds=3,
        patience_seconds=60,
    )


def postgres_setups(settings: Settings, secrets: Secrets) -> tuple[Setup, ...]:
    """The cluster before the server, the databases after it."""
    placement = _placement(settings, secrets)
    databases = Databases(settings.ports.postgres, secrets)

    def cluster() -> None:
        ensure_cluster(placement, link=settings.home / "postgres", password=secrets[POSTGRES_ADMIN])

    return (
        Setup(name=CLUSTER, title="creating the database cluster", run=cluster),
        Setup(name=DATABASES, title="creating roles and databases", run=databases.ensure, needs=(POSTGRES,)),
    )


def _placement(settings: Settings, secrets: Secrets) -> Placement:
    return place(settings.home, identity=secrets[POSTGRES_ADMIN], as_root=running_as_root())


def _version(placement: Placement) -> str:
    """The server's version, from the wheel's own binary: the copy may not exist yet."""
    told = subprocess.run([placement.wheel / "bin" / "postgres", "--version"], capture_output=True, text=True, check=True)
    return told.stdout.strip().rsplit(" ", 1)[-1]
