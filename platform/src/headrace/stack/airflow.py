"""Airflow as parts of the stack: API server, scheduler with its LocalExecutor, DAG processor and triggerer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from headrace.config import AIRFLOW_PASSWORD, AIRFLOW_USER, Settings
from headrace.errors import StackError
from headrace.specs.training import TRAINING_POOL
from headrace.stack.databases import Databases
from headrace.stack.environment import AIRFLOW_PASSWORDS_FILE, LOOPBACK, inherited_environment, platform_environment
from headrace.stack.loopback import fetch
from headrace.stack.part import Part, Port, Setup
from headrace.stack.postgres import DATABASES
from headrace.stack.readiness import AirflowHeartbeat, AnswersHttp
from headrace.stack.secrets import Secrets, write_private

API_SERVER = "airflow-api-server"
SCHEMA = "airflow-schema"
POOL = "training-pool"
_BACKGROUND = {
    # Airflow's name of the component on its health page, and the flags of its command. Log servers, which would bind every
    # interface, are left out: on one machine the API server reads the files.
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}
_CREATED, _OK, _NOT_FOUND = 201, 200, 404


def airflow_parts(settings: Settings, secrets: Secrets) -> tuple[Part, ...]:
    """The four processes; they start at the same time."""
    environment = platform_environment(settings, secrets)
    url = f"http://{LOOPBACK}:{settings.ports.airflow}"
    api_server = _part(
        "api-server",
        (),
        environment,
        ready=AnswersHttp(f"{url}/api/v2/monitor/health"),
        url=url,
        port=Port(settings.ports.airflow, "HEADRACE_PORTS__AIRFLOW"),
    )
    background = (
        _part(name, flags, environment, ready=AirflowHeartbeat(url, name.replace("-", "_")))
        for name, flags in _BACKGROUND.items()
    )
    return (api_server, *background)


def airflow_setups(settings: Settings, secrets: Secrets) -> tuple[Setup, ...]:
    """The schema and the login before the processes, the training pool after the API server."""
    return (
        Setup(
            name=SCHEMA,
            title="migrating Airflow's database",
            run=lambda: _prepare(settings, secrets),
            needs=(DATABASES,),
        ),
        Setup(
            name=POOL,
            title="setting the training pool's size",
            run=lambda: ensure_pool(settings, secrets),
            needs=(API_SERVER,),
        ),
    )


def _part(name: str, flags: tuple[str, ...], environment: Mapping[str, str], **more: Any) -> Part:
    return Part(
        name=f"airflow-{name}",
        command=(sys.executable, "-m", "airflow", name, *flags),
        environment=environment,
        needs=(SCHEMA,),
        version=lambda: version("apache-airflow"),
        **more,
    )


def _prepare(settings: Settings, secrets: Secrets) -> None:
    write_private(settings.secrets_folder / AIRFLOW_PASSWORDS_FILE, json.dumps({AIRFLOW_USER: secrets[AIRFLOW_PASSWORD]}))
    databases = Databases(settings.ports.postgres, secrets)
    present = f"airflow {version('apache-airflow')}"
    if databases.schema_note("airflow") != present:
        _migrate(settings, secrets)
        databases.note_schema("airflow", present)


def _migrate(settings: Settings, secrets: Secrets) -> None:
    environment = inherited_environment(os.environ) | platform_environment(settings, secrets)
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f"Airflow's database could not be migrated: {done.stderr.strip()[-2000:]}", where="database airflow")


def ensure_pool(settings: Settings, secrets: Secrets) -> None:
    """Make the pool `training` exactly `training_slots` wide.

    Raises:
        StackError: Airflow refuses, or does not answer.
    """
    url = f"http://{LOOPBACK}:{settings.ports.airflow}"
    token = _call("POST", f"{url}/auth/token", {"username": AIRFLOW_USER, "password": secrets[AIRFLOW_PASSWORD]})["access_token"]
    pool = {
        "name": TRAINING_POOL,
        "slots": settings.training_slots,
        "description": "One slot a training job.",
        "include_deferred": False,
    }
    address = f"{url}/api/v2/pools"
    present = _call("GET", f"{address}/{TRAINING_POOL}", token=token)
    if not present:
        _call("POST", address, pool, token=token)
    elif present["slots"] != settings.training_slots:
        _call("PATCH", f"{address}/{TRAINING_POOL}?update_mask=slots", pool, token=token)


def _call(method: str, url: str, body: Any = None, *, token: str = "") -> dict[str, Any]:
    try:
        status, answer = fetch(url, method=method, body=body, token=token, timeout=30)
    except OSError as error:
        raise StackError(f"Airflow does not answer: {error}", where=url) from error
    if status == _NOT_FOUND:
        return {}
    if status not in {_OK, _CREATED}:
        raise StackError(f"Airflow answers {status}: {answer.decode(errors='replace')[:500]}", where=url)
    return dict(json.loads(answer))
