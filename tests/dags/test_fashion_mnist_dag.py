"""The DAG as Airflow sees it: its tasks, their order, the trigger form, and what parsing costs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# In a process of its own: Airflow reads its configuration at import, and the network guard must stand before anything is parsed.
INSPECT = """
import json, socket, sys, time

def refuse(*_args, **_kwargs):
    raise AssertionError("a DAG file must not touch the network when parsed")

import airflow.sdk
from airflow.dag_processing.dagbag import DagBag

socket.socket.connect = refuse
socket.getaddrinfo = refuse
before = set(sys.modules)
started = time.perf_counter()
bag = DagBag(dag_folder=sys.argv[1])
seconds = time.perf_counter() - started
dear = ("tensorflow", "mlflow", "kubernetes", "airflow.providers.cncf.kubernetes", "headrace_airflow.pods", "pyarrow")
heavy = [name for name in dear if name in set(sys.modules) - before]
dags = {
    dag_id: {
        "tasks": {
            task.task_id: {
                "type": type(task).__name__,
                "upstream": sorted(task.upstream_task_ids),
                "trigger_rule": task.trigger_rule.value,
                "pool": task.pool,
                "retries": task.retries,
                "outlets": [outlet.uri for outlet in task.outlets],
            }
            for task in dag.tasks
        },
        "params": {
            name: {"value": dag.params.get_param(name).value, **dag.params.get_param(name).schema} for name in dag.params
        },
        "doc": dag.doc_md,
        "catchup": dag.catchup,
    }
    for dag_id, dag in bag.dags.items()
}
print("RESULT" + json.dumps({"errors": bag.import_errors, "dags": dags, "seconds": seconds, "heavy": heavy}))
"""


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    home = tmp_path_factory.mktemp("airflow")
    environment = os.environ | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "PYTHONPATH": str(ROOT / "plugins"),
    }
    done = subprocess.run(
        [sys.executable, "-c", INSPECT, str(ROOT / "dags")], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    return json.loads(line.removeprefix("RESULT"))


def test_every_dag_file_imports(bag):
    assert bag["errors"] == {}
    assert set(bag["dags"]) == {"fashion_mnist"}


def test_the_pipeline_is_wired_as_documented(bag):
    tasks = bag["dags"]["fashion_mnist"]["tasks"]
    members = ["cnn", "cnn_batch_norm", "cnn_dropout"]
    trainings = [f"train_{member}" for member in members]
    assert {name: task["upstream"] for name, task in tasks.items()} == {
        "is_stale": [],
        "ingest": ["is_stale"],
        "dataset": ["ingest"],
        **{training: ["dataset"] for training in trainings},
        "promote": sorted(trainings),
    }


def test_a_fresh_dataset_skips_ingest_alone(bag):
    tasks = bag["dags"]["fashion_mnist"]["tasks"]
    assert tasks["is_stale"]["type"] == "ShortCircuitOperator"
    assert tasks["dataset"]["trigger_rule"] == "none_failed"
    assert tasks["dataset"]["outlets"] == ["headrace://datasets/fashion-mnist"]


def test_trainings_share_the_pool_and_are_retried(bag):
    for name, task in bag["dags"]["fashion_mnist"]["tasks"].items():
        if name.startswith("train_"):
            assert (task["type"], task["pool"], task["retries"]) == ("TrainingJobOperator", "training", 1)


def test_the_trigger_form_refuses_bad_values(bag):
    params = bag["dags"]["fashion_mnist"]["params"]
    assert set(params) == {"force_refresh", "epochs", "workers", "members", "ensemble_size"}
    assert (params["epochs"]["minimum"], params["epochs"]["maximum"]) == (1, 200)
    assert params["members"]["items"]["enum"] == ["cnn", "cnn_batch_norm", "cnn_dropout"]
    assert params["ensemble_size"]["maximum"] == 3
    assert params["force_refresh"]["value"] is False


def test_the_dag_file_is_its_documentation(bag):
    dag = bag["dags"]["fashion_mnist"]
    for task in dag["tasks"]:
        assert task in dag["doc"] or task.startswith("train_")
    assert dag["catchup"] is False


def test_parsing_is_cheap_and_touches_nothing(bag):
    assert bag["seconds"] < 0.5
    assert bag["heavy"] == []
