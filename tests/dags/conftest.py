"""Every DAG as Airflow sees it, for tests to look at."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def bag(inspect):
    """The project's own DAGs."""
    return inspect(ROOT / "dags")


@pytest.fixture(scope="session")
def inspect(tmp_path_factory):
    """Reads the DAGs of a folder."""
    home = tmp_path_factory.mktemp("airflow")
    return lambda folder: _inspect(folder, home)


def _inspect(folder, home):
    environment = os.environ | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "PYTHONPATH": str(ROOT / "plugins"),
    }
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("inspect_dags.py"), folder],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    return json.loads(line.removeprefix("RESULT"))
