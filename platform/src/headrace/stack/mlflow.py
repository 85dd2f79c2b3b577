"""The MLflow server as a part of the stack: tracking, registry, and artifacts through its proxy."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version

from headrace.config import Settings
from headrace.errors import StackError
from headrace.stack.databases import Databases
from headrace.stack.environment import LOOPBACK, mlflow_client_environment
from headrace.stack.part import Part, Port, Setup
from headrace.stack.postgres import DATABASES
from headrace.stack.readiness import AnswersHttp
from headrace.stack.secrets import MLFLOW_KEK, POSTGRES_MLFLOW, Secrets

MLFLOW = "mlflow"
SCHEMA = "mlflow-schema"


def mlflow_part(settings: Settings, secrets: Secrets) -> Part:
    """The server: one worker, and none of the job processes that cost a gigabyte and serve features we do not use."""
    url = f"http://{LOOPBACK}:{settings.ports.mlflow}"
    command = (sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(settings.ports.mlflow))
    return Part(
        name=MLFLOW,
        command=(*command, "--workers", "1", "--artifacts-destination", str(settings.store_folder / "mlflow")),
        environment=_environment(settings, secrets),
        needs=(SCHEMA,),
        ready=AnswersHttp(f"{url}/health"),
        version=lambda: version("mlflow"),
        url=url,
        port=Port(settings.ports.mlflow, "HEADRACE_PORTS__MLFLOW"),
    )


def mlflow_setup(settings: Settings, secrets: Secrets) -> Setup:
    """Upgrade the schema when MLflow's version changed; a new database's the server creates by itself."""
    databases = Databases(settings.ports.postgres, secrets)

    def schema() -> None:
        known, present = databases.schema_note("mlflow"), f"mlflow {version('mlflow')}"
        if known and known != present:
            _upgrade(settings, secrets)
        if known != present:
            databases.note_schema("mlflow", present)

    return Setup(name=SCHEMA, title="upgrading MLflow's database", run=schema, needs=(DATABASES,))


def _environment(settings: Settings, secrets: Secrets) -> dict[str, str]:
    client = mlflow_client_environment(settings)
    backend = f"postgresql+psycopg2://mlflow:{secrets[POSTGRES_MLFLOW]}@{LOOPBACK}:{settings.ports.postgres}/mlflow"
    del client["MLFLOW_TRACKING_URI"]  # the server is not its own client
    return {
        **client,
        "MLFLOW_BACKEND_STORE_URI": backend,  # not an argument: those are visible to every user
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_CRYPTO_KEK_PASSPHRASE": secrets[MLFLOW_KEK],
    }


def _upgrade(settings: Settings, secrets: Secrets) -> None:
    # `mlflow db upgrade` takes the address as an argument, which every user can see: the password goes another way.
    address = f"postgresql+psycopg2://mlflow@{LOOPBACK}:{settings.ports.postgres}/mlflow"
    command = [sys.executable, "-m", "mlflow", "db", "upgrade", address]
    environment = {**os.environ, "PGPASSWORD": secrets[POSTGRES_MLFLOW]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f"MLflow's database could not be upgraded: {done.stderr.strip()[-2000:]}", where="database mlflow")
