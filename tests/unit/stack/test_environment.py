"""What the stack's processes and tasks find in their environment."""

from pathlib import Path

import pytest

from headrace.config import load_settings
from headrace.stack.environment import headrace_environment, inherited_environment, platform_environment
from headrace.stack.secrets import NAMES

SECRETS = {name: f"secret-of-{name}" for name in NAMES}


@pytest.fixture
def settings(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return load_settings(home=Path("/srv/home"), project=Path("/srv/project"), ports={"airflow": 9090, "postgres": 5555})


def test_a_task_sees_the_installation_that_started_it(settings, monkeypatch):
    for key, value in headrace_environment(settings).items():
        monkeypatch.setenv(key, value)
    assert load_settings() == settings


def test_airflow_is_configured_for_the_loopback_and_the_projects_folders(settings):
    environment = platform_environment(settings, SECRETS)
    assert environment["AIRFLOW__CORE__DAGS_FOLDER"] == "/srv/project/dags"
    assert environment["AIRFLOW__CORE__PLUGINS_FOLDER"] == environment["PYTHONPATH"] == "/srv/project/plugins"
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:9090/execution/"
    assert environment["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:15000"


def test_both_database_drivers_reach_airflows_own_database(settings):
    environment = platform_environment(settings, SECRETS)
    place = "airflow:secret-of-postgres-airflow@127.0.0.1:5555/airflow"
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == f"postgresql+psycopg2://{place}"
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC"] == f"postgresql+asyncpg://{place}"


def test_the_callers_own_configuration_of_the_parts_is_not_inherited():
    inherited = inherited_environment(
        {"AIRFLOW__CORE__EXECUTOR": "X", "MLFLOW_TRACKING_URI": "X", "PYTHONPATH": "X", "HOME": "/h"}
    )
    assert inherited["HOME"] == "/h"
    assert "X" not in inherited.values()


def test_a_proxy_is_kept_but_never_asked_for_the_loopback():
    inherited = inherited_environment({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "intranet,127.0.0.1"})
    assert inherited["HTTPS_PROXY"] == "http://proxy:3128"
    assert inherited["NO_PROXY"] == inherited["no_proxy"] == "intranet,127.0.0.1,localhost"
