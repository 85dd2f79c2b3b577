"""The environment of everything that runs in the stack: pure functions of the settings and the secrets.

`platform_environment` is what Airflow's four processes and the tasks they start get, and what an `airflow` command needs in order
to talk to the same installation. The marker that tells the stack's processes from others (`remnants`) is not part of it: a
command a person runs with this environment is not the stack's to end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from headrace.config import AIRFLOW_USER, Settings
from headrace.stack.secrets import AIRFLOW_API, AIRFLOW_FERNET, AIRFLOW_JWT, POSTGRES_AIRFLOW, Secrets

LOOPBACK = "127.0.0.1"
AIRFLOW_PASSWORDS_FILE = "airflow-passwords.json"
_TASK_PROCESSES_BESIDE_TRAINING = 4
_FOREIGN_PREFIXES = ("AIRFLOW_", "MLFLOW_", "HEADRACE_", "PYTHON", "VIRTUAL_ENV", "GUNICORN_", "TF_CONFIG")


def inherited_environment(base: Mapping[str, str]) -> dict[str, str]:
    """What the stack takes over from the caller: all but settings that would reconfigure its parts behind its back."""
    kept = {key: value for key, value in base.items() if not key.startswith(_FOREIGN_PREFIXES)}
    return kept | without_proxy(base) | frugal()


def without_proxy(base: Mapping[str, str]) -> dict[str, str]:
    """The proxy exceptions, with the loopback interface among them."""
    excepted = [entry for entry in base.get("NO_PROXY", base.get("no_proxy", "")).split(",") if entry]
    joined = ",".join(dict.fromkeys([*excepted, LOOPBACK, "localhost"]))
    return {"NO_PROXY": joined, "no_proxy": joined}


def frugal() -> dict[str, str]:
    """What keeps the idle stack small and its logs prompt.

    glibc gives each thread an arena of its own; two are enough for servers that mostly wait.
    """
    return {"MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1"}


def platform_environment(settings: Settings, secrets: Secrets) -> dict[str, str]:
    """What Airflow's processes, its tasks and `airflow` commands share."""
    return headrace_environment(settings) | mlflow_client_environment(settings) | airflow_environment(settings, secrets)


def headrace_environment(settings: Settings) -> dict[str, str]:
    """The settings as HEADRACE_* variables, so that a task sees the very installation that started it."""
    return {f"HEADRACE_{key}": value for key, value in _flatten(settings.model_dump(mode="json", exclude_none=True))}


def _flatten(nested: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    flat: list[tuple[str, str]] = []
    for key, value in nested.items():
        name = f"{prefix}{key.upper()}"
        flat += _flatten(value, f"{name}__") if isinstance(value, dict) else [(name, _as_text(value))]
    return flat


def _as_text(value: Any) -> str:
    """As the settings are read back: lists as JSON."""
    return json.dumps(value) if isinstance(value, list) else str(value)


def mlflow_client_environment(settings: Settings) -> dict[str, str]:
    """What a client of the MLflow server needs."""
    return {"MLFLOW_TRACKING_URI": settings.tracking(), "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def airflow_environment(settings: Settings, secrets: Secrets) -> dict[str, str]:
    """Airflow's whole configuration; it wins over the airflow.cfg that Airflow writes for itself."""
    sections = {
        "core": _core(settings, secrets),
        "database": _database(settings, secrets),
        "api": _api(settings, secrets),
        "api_auth": {"jwt_secret": secrets[AIRFLOW_JWT]},
        "scheduler": _scheduler(),
        "dag_processor": _dag_processor(),
        "logging": {"colored_console_log": "False"},
    }
    return {
        "AIRFLOW_HOME": str(settings.home / "airflow"),
        "PYTHONPATH": str(settings.project / "plugins"),
        **{
            f"AIRFLOW__{section.upper()}__{key.upper()}": value
            for section, keys in sections.items()
            for key, value in keys.items()
        },
    }


def _core(settings: Settings, secrets: Secrets) -> dict[str, str]:
    return {
        "executor": "LocalExecutor",
        "parallelism": str(settings.training_slots + _TASK_PROCESSES_BESIDE_TRAINING),
        "dags_folder": str(settings.project / "dags"),
        "plugins_folder": str(settings.project / "plugins"),
        "load_examples": "False",
        "dags_are_paused_at_creation": "False",
        "fernet_key": secrets[AIRFLOW_FERNET],
        "execution_api_server_url": f"http://{LOOPBACK}:{settings.ports.airflow}/execution/",
        # The default asks the resolver for a full name, which takes seconds on a machine without one.
        "hostname_callable": "socket.gethostname",
        "simple_auth_manager_users": f"{AIRFLOW_USER}:admin",
        "simple_auth_manager_passwords_file": str(settings.secrets_folder / AIRFLOW_PASSWORDS_FILE),
        # An edited DAG is stored at most this often; the default of 30 s is long for someone who edits and looks.
        "min_serialized_dag_update_interval": "5",
    }


def _database(settings: Settings, secrets: Secrets) -> dict[str, str]:
    place = f"airflow:{secrets[POSTGRES_AIRFLOW]}@{LOOPBACK}:{settings.ports.postgres}/airflow"
    return {
        "sql_alchemy_conn": f"postgresql+psycopg2://{place}",
        "sql_alchemy_conn_async": f"postgresql+asyncpg://{place}",
        # The stack migrates once before any of the four starts; each checking again costs seconds of boot.
        "check_migrations": "False",
    }


def _api(settings: Settings, secrets: Secrets) -> dict[str, str]:
    return {
        "host": LOOPBACK,
        "port": str(settings.ports.airflow),
        "base_url": settings.airflow(),
        "workers": "1",
        "secret_key": secrets[AIRFLOW_API],
    }


def _scheduler() -> dict[str, str]:
    return {
        # A killed scheduler's running tasks die with it (`reaper`); its successor must notice soon and start them anew.
        "scheduler_health_check_threshold": "20",
        "orphaned_tasks_check_interval": "20",
        "task_instance_heartbeat_timeout": "90",
    }


def _dag_processor() -> dict[str, str]:
    return {"parsing_processes": "1", "refresh_interval": "5", "bundle_refresh_check_interval": "2"}
